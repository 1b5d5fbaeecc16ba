"""Random calls in random order: every agenda says what the model says, also after being closed and opened again."""

import random
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from gateway.memory.records import Scope
from gateway.memory.reflections import Due, Reflection, Spent
from gateway.memory.thinking import Agenda
from tests.contracts.conftest import AGENDAS
from tests.contracts.samples import IDS, LOOKALIKES
from tests.contracts.test_against_model import SEEDS, Call, adapters, calm, compare
from tests.contracts.thoughts import derived, due, reflection
from tests.support.model import Clock

_SCOPES = [*LOOKALIKES[:2], LOOKALIKES[10]]
_TURNS = [*IDS[:4], *IDS[10:13]]
_NAMES = IDS[10:14]
_STATES = ["intended", "intended", "applied", "failed", "undone"]
_KINDS = ["add"] * 4 + ["intend"] * 4 + ["claim"] * 2 + ["conclude"] * 2 + ["wake", "drop", "tried", "erase", "spend"]
_STEPS = 250


def agenda_calls(dice: random.Random) -> list[Call | None]:
    """On few users and turns, so that they meet; no two times are alike, so that who waits longest is known."""
    return [None if dice.random() < 0.03 else _agenda_call(dice, 1_000.0 + step) for step in range(_STEPS)]


def _agenda_call(dice: random.Random, now: float) -> Call:
    scope, turns = dice.choice(_SCOPES), dice.sample(_TURNS, dice.randrange(3))
    at, lease, limit = now + 20 * dice.random() - 10, 20 * dice.random(), dice.randrange(4)
    kind = dice.choice([*_KINDS, "forget" if dice.random() < 0.3 else "look", "look"])
    told = _some_reflection(dice, turns, at)
    if kind == "add":
        dues = [_some_due(dice, turn) for turn in turns]
        return lambda agenda: agenda.add(scope, dues, at)
    if kind == "intend":
        return lambda agenda: _intend(agenda, scope, told, limit)
    if kind == "claim":
        return lambda agenda: agenda.claim(now, lease)
    if kind == "spend":
        day, spent = f"2024-02-{27 + limit % 3}", Spent(limit, int(lease))
        return lambda agenda: agenda.spend(scope.tenant, day, spent)
    calls: dict[str, Call] = {
        "conclude": lambda agenda: agenda.conclude(scope, told),
        "wake": lambda agenda: agenda.wake(scope, at),
        "drop": lambda agenda: agenda.drop(scope, turns),
        "tried": lambda agenda: agenda.tried(scope),
        "erase": lambda agenda: agenda.erase(scope, turns),
        "forget": lambda agenda: agenda.forget(scope),
        "look": lambda agenda: _look(agenda, scope, told.id, limit),
    }
    return calls[kind]


def _some_due(dice: random.Random, turn: str) -> Due:
    return due(turn, dice.randrange(5), policy=dice.choice(_NAMES), stamp=dice.choice("12"))


def _some_reflection(dice: random.Random, turns: list[str], at: float) -> Reflection:
    images = [(derived(dice.choice(_TURNS), dice.choice(_TURNS)),) if dice.random() < 0.3 else () for _ in range(2)]
    state = dice.choice(_STATES)
    return reflection(dice.choice(_NAMES), *turns, at=at, state=state, before=images[0], after=images[1])


async def _intend(agenda: Agenda, scope: Scope, told: Reflection, limit: int) -> tuple[bool, bool]:
    """These turns, which may not be due, and then some that are."""
    found = tuple(each.turn for each in await agenda.due(scope, limit))
    first = await agenda.intend(scope, told)
    return first, await agenda.intend(scope, reflection(f"{told.id} of due ones", *found, at=told.at))


async def _look(agenda: Agenda, scope: Scope, id: str, limit: int) -> Any:
    page = await agenda.reflections(scope, limit=2)
    rest = await agenda.reflections(scope, cursor=page.cursor) if page.cursor else None
    return (
        (page.items, rest and rest.items),
        await agenda.due(scope, limit),
        await agenda.due(scope, 100),
        await agenda.unfinished(scope),
        await agenda.reflection(scope, id),
        await agenda.waiting(),
        await agenda.count(scope),
        await agenda.spent(scope.tenant, "2024-02-28"),
    )


@pytest.mark.parametrize("name", adapters(AGENDAS))
@calm
@given(seed=SEEDS)
def test_agendas_agree(name: str, seed: int, tmp_path: Path) -> None:
    """Every call of the port."""
    path, clock = Path(tempfile.mkdtemp(dir=tmp_path)), Clock()
    openings = [AGENDAS["model"](path, clock), AGENDAS[name](path, clock)]

    compare(openings, agenda_calls(random.Random(seed)))
