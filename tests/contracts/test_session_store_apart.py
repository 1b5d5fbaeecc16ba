"""Every SessionStore keeps users apart, erases what it is told, and says so when it is closed."""

import asyncio

import pytest

from gateway.errors import MemoryUnavailable
from gateway.memory.ports import SessionStore
from tests.contracts.conftest import Opening
from tests.contracts.samples import ADA, BOB, LOOKALIKES, placed, trace


async def test_scopes_never_mix(sessions: SessionStore) -> None:
    """Scopes that look alike share nothing, under the same chain, session and turn."""
    for number, scope in enumerate(LOOKALIKES):
        assert await sessions.placed(scope, ["chain"]) == {}
        assert await sessions.traces(scope) == []
        assert await sessions.count(scope) == 0
        assert (await sessions.sessions(scope)).items == ()
        assert (await sessions.placements(scope, "s")).items == ()
        await sessions.place(scope, "chain", placed("t", str(number)))
        await sessions.trace(trace(f"trace {number}", scope))

    for number, scope in enumerate(LOOKALIKES):
        assert await sessions.placed(scope, ["chain"]) == {"chain": placed("t", str(number))}
        assert [t.scope for t in await sessions.traces(scope)] == [scope]


async def test_removing_touches_no_lookalike(sessions: SessionStore) -> None:
    """Neither erasing nor forgetting reaches a scope that only looks like the one asked for."""
    for scope in LOOKALIKES:
        await sessions.place(scope, "chain", placed("t"))
    for number, scope in enumerate(LOOKALIKES[:-1]):
        if number % 2:
            await sessions.erase_turns(scope, ["t"])
        else:
            assert await sessions.forget(scope) == 1
        assert await sessions.count(LOOKALIKES[number + 1]) == 1

    assert [await sessions.count(scope) for scope in LOOKALIKES] == [0] * (len(LOOKALIKES) - 1) + [1]


async def test_erasing_a_turn_erases_its_placement_and_trace(sessions: SessionStore) -> None:
    """What belongs to the turn is gone; other turns stay."""
    for id in ("gone", "stays"):
        await sessions.place(ADA, f"chain {id}", placed(id, "m"))
        await sessions.trace(trace(f"trace {id}", ADA, id, "m"))

    await sessions.erase_turns(ADA, ["gone", "nobody"])

    assert await sessions.placed(ADA, ["chain gone", "chain stays"]) == {"chain stays": placed("stays", "m")}
    assert [t.id for t in await sessions.traces(ADA)] == ["trace stays"]


async def test_what_rendered_an_erased_memory_is_not_replayed(sessions_of: Opening) -> None:
    """Not from the cache, not from the disk, not after reopening; the turn itself stays known."""
    async with sessions_of() as store:
        await store.place(ADA, "chain", placed("t", "gone", "other"))
        assert (await store.placed(ADA, ["chain"]))["chain"].text
        await store.erase_turns(ADA, ["gone"])
        assert await store.placed(ADA, ["chain"]) == {"chain": placed("t")}
        assert await store.placed(ADA, ["chain"]) == {"chain": placed("t")}
    async with sessions_of() as store:
        assert await store.placed(ADA, ["chain"]) == {"chain": placed("t")}


async def test_a_trace_loses_what_was_erased(sessions: SessionStore) -> None:
    """The hit and the injected text; by the memory's id and by its source."""
    await sessions.trace(trace("id", ADA, "t", "gone", "stays"))

    await sessions.erase_turns(ADA, ["gone"])

    (left,) = await sessions.traces(ADA)
    assert [hit.memory.id for hit in left.hits] == ["stays"]
    assert "gone" not in left.injected


async def test_erasing_touches_no_other_user(sessions: SessionStore) -> None:
    """The same turn id of another user stays."""
    await sessions.place(BOB, "chain", placed("t", "m"))
    await sessions.trace(trace("id", BOB, "t", "m"))

    await sessions.erase_turns(ADA, ["t", "m"])

    assert await sessions.placed(BOB, ["chain"]) == {"chain": placed("t", "m")}
    assert [t.injected for t in await sessions.traces(BOB)] == ["text of m"]


async def test_forget_removes_one_user_only(sessions: SessionStore) -> None:
    """Placements and traces; it says how many."""
    for scope in (ADA, BOB):
        await sessions.place(scope, "chain", placed("t", "m"))
        await sessions.trace(trace(f"of {scope.user}", scope))

    assert await sessions.count(ADA) == 2
    assert await sessions.forget(ADA) == 2

    assert await sessions.count(ADA) == 0
    assert await sessions.placed(ADA, ["chain"]) == {}
    assert await sessions.find_trace("acme", "of ada") is None
    assert await sessions.count(BOB) == 2


async def test_calls_may_run_at_once(sessions: SessionStore) -> None:
    """Mixed calls side by side neither fail nor lose anything."""

    async def one(number: int) -> None:
        scope = BOB if number % 2 else ADA
        await sessions.place(scope, str(number), placed(f"t{number}", "m"))
        await sessions.trace(trace(f"trace {number}", scope, f"t{number}"))
        assert len(await sessions.placed(scope, [str(number), "nobody"])) == 1
        if number % 10 == 0:
            await sessions.erase_turns(scope, [f"t{number}"])

    await asyncio.gather(*map(one, range(40)))

    assert len(await sessions.placed(ADA, [str(n) for n in range(40)])) == 16
    assert len(await sessions.placed(BOB, [str(n) for n in range(40)])) == 20


async def test_a_closed_store_is_unavailable(sessions_of: Opening) -> None:
    """Every call says so, and nothing foreign gets out; a trace may also be dropped."""
    async with sessions_of() as store:
        pass

    for call in (
        store.placed(ADA, ["chain"]),
        store.place(ADA, "chain", placed("t")),
        store.sessions(ADA),
        store.placements(ADA, "s"),
        store.trace(trace("id")),
        store.traces(ADA),
        store.find_trace("acme", "id"),
        store.erase_turns(ADA, ["t"]),
        store.count(ADA),
        store.forget(ADA),
        store.ping(),
    ):
        with pytest.raises(MemoryUnavailable):
            await call
