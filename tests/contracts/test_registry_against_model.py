"""Random calls in random order: every registry says what the model says, also after being closed and opened again."""

import hashlib
import random
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from gateway.admit import Quota
from gateway.tenants.ports import Registry
from gateway.tenants.records import Act, KeyCard, Limits, Tenant
from tests.contracts.conftest import REGISTRIES
from tests.contracts.samples import IDS
from tests.contracts.test_against_model import SEEDS, Call, adapters, calm, compare
from tests.support.model import Clock

_NAMES = IDS[1:8]
_STEPS = 250


def registry_calls(dice: random.Random) -> list[Call | None]:
    """On few names, so that they meet; an act is known by its place, for every registry names it its own way."""
    fresh, begun = iter(range(_STEPS)), defaultdict[str, list[str]](list)
    return [None if dice.random() < 0.03 else _registry_call(dice, fresh, begun) for _ in range(_STEPS)]


def _registry_call(dice: random.Random, fresh: Iterator[int], begun: dict[str, list[str]]) -> Call:
    name, id, at = dice.choice(_NAMES), str(dice.randrange(4)), dice.choice([0.0, 0.1, 2.5, 1e9])
    kind = dice.choice(
        ["keep", "issue", "issue", "end", "used", "begin", "begin", "conclude", "unname", "look", "list"]
    )
    if kind == "keep":
        tenant = Tenant(name, at, Limits(dice.randrange(3)), Quota(dice.randrange(3)))
        return lambda registry: registry.keep_tenant(tenant)
    if kind == "issue":
        card = KeyCard(str(next(fresh)), "per-user", name, label=name, created=at, until=dice.choice([None, at, 5.5]))
        return lambda registry: registry.issue(_digest(card.id), card)
    if kind == "end":
        return lambda registry: registry.end(id, at)
    if kind == "used":
        return lambda registry: registry.used(id, at)
    if kind == "begin":
        act, user = Act("who", "write", name, at, name, dice.choice("abc")), dice.choice(["", name])
        return lambda registry: _begin(registry, act, user, begun)
    if kind == "conclude":
        place, outcome, made = dice.randrange(10), dice.choice(["200", "404"]), dice.choice(["", name])
        return lambda registry: _conclude(registry, place, outcome, made, begun)
    if kind == "unname":
        subject = dice.choice("abc")
        return lambda registry: registry.unname(subject)
    return (lambda registry: _look(registry, name, id)) if kind == "look" else (lambda registry: _list(registry, name))


def _digest(id: str) -> bytes:
    return hashlib.sha256(id.encode()).digest()


async def _begin(registry: Registry, act: Act, user: str, begun: dict[str, list[str]]) -> None:
    begun[type(registry).__name__].append(await registry.begin(act, user))


async def _conclude(registry: Registry, place: int, outcome: str, made: str, begun: Mapping[str, list[str]]) -> None:
    if len(known := begun[type(registry).__name__]) > place:
        await registry.conclude(known[place], outcome, made)


async def _look(registry: Registry, name: str, id: str) -> Any:
    return await registry.tenant(name), await registry.key(id), await registry.find(_digest(id))


async def _list(registry: Registry, name: str) -> Any:
    pages = await registry.tenants(limit=3), await registry.keys(tenant=name, limit=3), await registry.acts(limit=3)
    whole = await registry.tenants(), await registry.keys(), await registry.acts()
    return [(page.items, page.cursor is None) for page in (*pages, *whole)]


@pytest.mark.parametrize("name", adapters(REGISTRIES))
@calm
@given(seed=SEEDS)
def test_registries_agree(name: str, seed: int, tmp_path: Path) -> None:
    """Tenants, keys, acts, names."""
    path, clock = Path(tempfile.mkdtemp(dir=tmp_path)), Clock()
    openings = [REGISTRIES["model"](path, clock), REGISTRIES[name](path, clock)]

    compare(openings, registry_calls(random.Random(seed)))
