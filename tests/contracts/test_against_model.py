"""Random calls in random order: every adapter says what the model says, also after being closed and opened again."""

import asyncio
import random
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.memory.filters import Filter
from gateway.memory.records import Kept, Memory, Scope, Turn
from gateway.memory.thoughts import Thought
from tests.contracts.conftest import JOURNALS, MEMORIES, SESSIONS, Opening
from tests.contracts.samples import DIMENSION, IDS, LOOKALIKES, entry, memory, placed, query, trace, turn, vector
from tests.support.model import Clock

SEEDS = st.integers(0, 2**32 - 1)
STEPS = 60
SCOPES = LOOKALIKES[:6]

Call = Callable[[Any], Awaitable[Any]]
calm = settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def adapters(table: dict[str, Any]) -> list[str]:
    """All but the model."""
    return [name for name in table if name != "model"]


def compare(openings: Sequence[Opening], calls: Sequence[Call | None]) -> None:
    """Make every call on each and compare the answers; None closes and opens both."""

    async def run() -> None:
        async with AsyncExitStack() as stack:
            stores = [await stack.enter_async_context(opening()) for opening in openings]
            for step, call in enumerate(calls):
                if call is None:
                    await stack.aclose()
                    stores = [await stack.enter_async_context(opening()) for opening in openings]
                    continue
                answers = [await call(store) for store in stores]
                assert answers[0] == answers[1], f"step {step}"

    asyncio.run(run())


def memory_calls(dice: random.Random) -> list[Call | None]:
    """On few ids and scopes, so that they meet."""
    return [None if dice.random() < 0.02 else _memory_call(dice) for _ in range(STEPS)]


def _memory_call(dice: random.Random) -> Call:
    scope, ids = dice.choice(SCOPES), dice.sample(IDS, 3)
    kind = dice.choice(
        ["put", "put", "put", "amend", "get", "search", "browse", "browse", "near", "delete", "forget", "count"]
    )
    seq = dice.randrange(6)
    session = dice.choice(["", "s", "\udc80"])
    if kind == "put":
        entries = [entry(_some_memory(dice, id, scope), turn=_some_vector(dice), words=_letters(dice)) for id in ids]
        return lambda store: store.put(entries)
    if kind == "get":
        return lambda store: store.get(scope, ids)
    if kind == "search":
        asked = query(_some_vector(dice), _letters(dice))
        if dice.random() < 0.3:
            asked = replace(asked, as_of=float(dice.randrange(-1, 7)))
        return lambda store: _signals(store, scope, asked)
    if kind == "browse":
        only, latest = _some_filter(dice), dice.random() < 0.5
        return lambda store: _pages(store, scope, only, latest=latest)
    if kind == "amend":
        amended = [_some_memory(dice, id, scope) for id in ids]
        return lambda store: store.amend(amended)
    if kind == "near":
        last, radius = seq + dice.randrange(3), dice.randrange(4)
        return lambda store: store.neighbours(scope, session, seq, last, radius)
    if kind == "delete":
        return lambda store: store.delete(scope, ids)
    if kind == "forget" and dice.random() < 0.3:
        return lambda store: store.forget(scope)
    return lambda store: asyncio.gather(store.count(scope), store.users(scope.tenant), store.tenants())


def _some_filter(dice: random.Random) -> Filter:
    """Few fields at a time, so that something is left."""
    whole = Filter(
        session=dice.choice(["", "s", "\udc80"]),
        kind=dice.choice(["turn", "note"]),
        pinned=dice.random() < 0.5,
        status=dice.choice(["active", "archived"]),
        trust=dice.choice(["user", "operator"]),
        policy=dice.choice(["", "scm"]),
        after=float(dice.randrange(7)),
        before=float(dice.randrange(7)),
    )
    return replace(Filter(), **{f.name: getattr(whole, f.name) for f in fields(Filter) if dice.random() < 0.25})


def _some_memory(dice: random.Random, id: str, scope: Scope) -> Memory:
    return memory(
        id,
        scope,
        dice.choice(["", "s", "\udc80"]),
        text=dice.choice(IDS),
        kind=dice.choice(["turn", "note"]),
        status=dice.choice(["active", "active", "archived"]),
        trust=dice.choice(["user", "operator"]),
        thought=dice.choice([None, None, Thought("scm")]),
        pinned=dice.random() < 0.5,
        seq=dice.randrange(6),
        at=float(dice.randrange(6)),
    )


def _some_vector(dice: random.Random) -> Any:
    return vector(*(dice.gauss(0, 1) for _ in range(DIMENSION)))


def _letters(dice: random.Random) -> str:
    return "".join(dice.sample("abcdef", dice.randrange(4)))


async def _signals(store: Any, scope: Scope, asked: Any) -> dict[str, Any]:
    """Whether the scope is asked for the first time or was asked before, and may be kept by now in another form."""
    found = [await store.search(scope, asked, 1000)]
    await store.delete(scope, ["nobody"])  # what the searches set going is over
    found.append(await store.search(scope, asked, 1000))
    signals = [{c.memory.id: _near(c.signals) for c in candidates} for candidates in found]
    assert signals[0] == {c.memory.id: c.signals for c in found[1]}
    return signals[0]


def _near(signals: Mapping[str, float]) -> dict[str, Any]:
    return {name: pytest.approx(score, abs=1e-3) for name, score in signals.items()}


async def _pages(store: Any, scope: Scope, only: Filter, *, latest: bool) -> dict[str, Memory]:
    page = await store.browse(scope, only, latest=latest, limit=2)
    found = [*page.items]
    while page.cursor is not None:
        page = await store.browse(scope, only, latest=latest, cursor=page.cursor, limit=2)
        found += page.items
    assert len(found) == len({m.id for m in found}) == await store.count(scope, only)
    if latest:
        assert [m.at for m in found] == sorted((m.at for m in found), reverse=True)
    return {m.id: m for m in found}


def session_calls(dice: random.Random) -> list[Call | None]:
    """The same for sessions; places are spread in time, so that their order is known."""
    return [None if dice.random() < 0.04 else _session_call(dice, step) for step in range(STEPS)]


def _session_call(dice: random.Random, step: int) -> Call:
    scope, ids = dice.choice(SCOPES), dice.sample(IDS, 4)
    name = dice.choice(["place", "place", "place", "trace", "trace", "placed", "list", "erase", "expire", "forget"])
    if name == "place":
        what = placed(ids[0], *ids[2:], session=ids[1], at=step)
        return lambda store: store.place(scope, ids[0], what)
    if name == "trace":
        told = replace(trace(f"{ids[0]} {step} {scope}", scope, ids[1], *ids[2:], session=ids[1]), at=float(step))
        return lambda store: store.trace(told)
    if name == "expire":
        return lambda store: store.expire(scope, step - 20.0)
    if name == "placed":
        return lambda store: store.placed(scope, IDS)
    if name == "list":
        return lambda store: _lists(store, scope, ids[0])
    if name == "erase":
        return lambda store: _later(store, store.erase_turns(scope, ids[:1]))
    if name == "forget" and dice.random() < 0.3:
        return lambda store: _later(store, store.forget(scope))
    return lambda store: store.count(scope)


async def _later(store: Any, call: Awaitable[Any]) -> Any:
    """Requests that were on their way are over: see the adapter's grace."""
    answer = await call
    if hasattr(store, "_clock"):
        store._clock.now += 60
    return answer


async def _lists(store: Any, scope: Scope, session: str) -> Any:
    count = await store.count(scope)
    return (
        count,
        (await store.sessions(scope)).items,
        (await store.placements(scope, session)).items,
        await store.traces(scope),
        sorted((await store.users(scope.tenant)).items),
    )


def journal_calls(dice: random.Random, clock: Clock) -> list[Call | None]:
    """The same for the journal."""
    return [None if dice.random() < 0.04 else _journal_call(dice, clock, step) for step in range(STEPS)]


def _journal_call(dice: random.Random, clock: Clock, step: int) -> Call:
    scope, ids = dice.choice(SCOPES), dice.sample(IDS, 3)
    name = dice.choice(
        [*["append"] * 3, "claim", "done", "fail", "fail", "see", "erase", "replay", "expire", "put back"]
    )
    if name == "append":
        told = turn(ids[0], scope, reply_text=str(step), at=float(step))
        return lambda journal: _unnumbered(journal.append(told))
    if name == "expire":
        return lambda journal: journal.expire(scope, step - 10.0, sparing=ids[:1])
    if name == "put back":
        state: Any = dice.choice(["pending", "done", "dead"])
        kept = [Kept(turn(id, scope, seq=1000 * step + n, at=float(step)), state, "why", n) for n, id in enumerate(ids)]
        return lambda journal: journal.put_back(scope, kept)
    if name == "claim":
        return lambda journal: _unnumbered(journal.claim(5))
    if name == "done":
        return lambda journal: _done(journal, ids)
    if name == "fail":
        clock.now += 1
        return _fail
    if name == "erase":
        return lambda journal: journal.erase(scope, ids) if step % 3 else journal.forget(scope)
    if name == "replay":
        return lambda journal: journal.replay(ids if step % 2 else [])
    if step % 2:
        return lambda journal: _unnumbered(journal.pending(scope), journal.turns(scope, IDS))
    return lambda journal: _letters_and_lag(journal, scope)


async def _done(journal: Any, ids: Sequence[str]) -> None:
    await journal.done([found for found in await journal.claim(100) if found.id in ids])


async def _fail(journal: Any) -> list[bool]:
    return [await journal.fail(found, "why", attempts=2, delay=2.0) for found in (await journal.claim(100))[:2]]


async def _unnumbered(*calls: Awaitable[int | list[Turn]]) -> list[list[Turn]]:
    """Turns without their running numbers, which may have gaps; they are compared by their order."""
    answers = [await call for call in calls]
    return [[replace(t, seq=0) for t in answer] for answer in answers if isinstance(answer, list)]


async def _letters_and_lag(journal: Any, scope: Scope) -> Any:
    letters = [(d.turn.id, d.turn.scope, d.attempts, d.error) for d in (await journal.dead()).items]
    kept = [(k.turn.id, k.state, k.error, k.attempts) for k in (await journal.kept(scope)).items]
    users = sorted((s.tenant, s.user) for s in (await journal.scopes()).items)
    return letters, kept, users, await journal.lag(), await journal.count(scope)


@pytest.mark.slow
@pytest.mark.parametrize("name", adapters(MEMORIES))
@calm
@given(seed=SEEDS)
def test_memory_stores_agree(name: str, seed: int, tmp_path: Path) -> None:
    """Put, amend, get, search, browse, neighbours, delete, forget, count, users."""
    path, clock = Path(tempfile.mkdtemp(dir=tmp_path)), Clock()
    openings = [MEMORIES["model"](path, clock), MEMORIES[name](path, clock)]

    compare(openings, memory_calls(random.Random(seed)))


@pytest.mark.parametrize("name", adapters(SESSIONS))
@calm
@given(seed=SEEDS)
def test_session_stores_agree(name: str, seed: int, tmp_path: Path) -> None:
    """Placements, traces, erasures."""
    path, clock = Path(tempfile.mkdtemp(dir=tmp_path)), Clock()
    openings = [SESSIONS["model"](path, clock), SESSIONS[name](path, clock)]

    compare(openings, session_calls(random.Random(seed)))


@pytest.mark.parametrize("name", adapters(JOURNALS))
@calm
@given(seed=SEEDS)
def test_journals_agree(name: str, seed: int, tmp_path: Path) -> None:
    """Append, claim, done, fail, dead, replay, lag, erase, forget."""
    path, clock = Path(tempfile.mkdtemp(dir=tmp_path)), Clock()
    openings = [JOURNALS["model"](path, clock), JOURNALS[name](path, clock)]

    compare(openings, journal_calls(random.Random(seed), clock))
