"""What every SessionStore promises when what is old goes."""

from dataclasses import replace

import pytest

from gateway.errors import BadRequest, MemoryUnavailable
from gateway.memory.ports import SessionStore
from gateway.memory.records import Scope
from tests.contracts.conftest import Opening
from tests.contracts.samples import ADA, BOB, IDS, LOOKALIKES, NO_CURSORS, placed, trace


async def test_placements_and_traces_from_before_a_moment_go(sessions_of: Opening) -> None:
    """And nothing else, and nobody else's; it says how many, and they do not come back."""
    async with sessions_of() as store:
        for at in (1.0, 2.0, 3.0):
            for scope in (ADA, BOB):
                await store.place(scope, f"chain {at}", placed(f"t{at}", "m", at=at))
                await store.trace(replace(trace(f"{scope.user} {at}", scope), at=at))
        assert len(await store.placed(ADA, ["chain 1.0", "chain 2.0"])) == 2

        assert await store.expire(ADA, 2.0) == 2

        assert await store.placed(ADA, ["chain 1.0", "chain 2.0"]) == {"chain 2.0": placed("t2.0", "m", at=2.0)}
        assert [t.id for t in await store.traces(ADA)] == ["ada 3.0", "ada 2.0"]
        assert await store.expire(ADA, 2.0) == 0
    async with sessions_of() as store:
        assert [*await store.placed(ADA, ["chain 1.0", "chain 2.0", "chain 3.0"])] == ["chain 2.0", "chain 3.0"]
        assert await store.find_trace("acme", "ada 1.0") is None
        assert await store.count(ADA) == 4
        assert await store.count(BOB) == 6


async def test_a_session_goes_on_without_its_old_turns(sessions: SessionStore) -> None:
    """One of which nothing is left is no session any more; in the others the rest is listed as before."""
    for at in range(6):
        await sessions.place(ADA, f"both {at}", placed(f"t{at}", session="both", at=float(at)))
        await sessions.place(ADA, f"old {at}", placed(f"u{at}", session="old", at=at / 10))

    assert await sessions.expire(ADA, 4.0) == 10
    assert (await sessions.sessions(ADA)).items == (("both", 2, 5.0),)
    assert [p.turn for p in (await sessions.placements(ADA, "both")).items] == ["t4", "t5"]
    assert (await sessions.placements(ADA, "old")).items == ()


async def test_many_expire_at_once(sessions: SessionStore) -> None:
    """More than a store looks at in one go, in many sessions and in one."""
    for number in range(250):
        await sessions.place(ADA, f"a{number}", placed("t", session=f"session {number}", at=float(number)))
        await sessions.place(ADA, f"b{number}", placed("t", session="one", at=float(number)))

    assert await sessions.expire(ADA, 230.0) == 460
    assert await sessions.count(ADA) == 40
    assert len((await sessions.sessions(ADA, limit=100)).items) == 21


async def test_any_id_can_expire(sessions: SessionStore) -> None:
    """Chains and sessions are opaque."""
    for id in IDS:
        await sessions.place(ADA, id, placed(id, session=id))

    assert await sessions.expire(ADA, 2.0) == len(IDS)
    assert await sessions.placed(ADA, IDS) == {}


async def test_who_has_placements_or_traces_is_listed(sessions: SessionStore) -> None:
    """Of a tenant, each once and page by page, whatever their names."""
    for number, scope in enumerate(LOOKALIKES):
        if number % 3:
            await sessions.place(scope, "chain", placed("t"))
        if number % 3 != 1:
            await sessions.trace(trace(f"trace {number}", scope))
        await sessions.count(scope)  # what was queued before is there now

    for tenant in {"nobody", *(scope.tenant for scope in LOOKALIKES)}:
        for limit in (1, 4, 100):
            page = await sessions.users(tenant, limit=limit)
            found = [*page.items]
            while page.cursor is not None:
                page = await sessions.users(tenant, cursor=page.cursor, limit=limit)
                found += page.items
            assert sorted(found) == sorted(scope.user for scope in LOOKALIKES if scope.tenant == tenant)


async def test_who_has_nothing_left_is_not_listed(sessions: SessionStore) -> None:
    """Erased, expired or forgotten; what one of two kinds is left of is listed still."""
    for user in ("erased", "expired", "forgotten", "ada"):
        await sessions.place(Scope("acme", user), "chain", placed("t"))
        await sessions.trace(trace(f"of {user}", Scope("acme", user)))
    await sessions.erase_turns(Scope("acme", "erased"), ["t"])
    await sessions.expire(Scope("acme", "expired"), 2.0)
    await sessions.forget(Scope("acme", "forgotten"))
    await sessions.place(ADA, "later", placed("u", at=9.0))
    await sessions.expire(ADA, 5.0)

    assert (await sessions.users("acme")).items == ("ada",)


async def test_a_foreign_cursor_is_the_callers_fault(sessions: SessionStore) -> None:
    """BadRequest."""
    for cursor in NO_CURSORS:
        with pytest.raises(BadRequest):
            await sessions.users("acme", cursor=cursor)


async def test_a_closed_store_is_unavailable(sessions_of: Opening) -> None:
    """Every call says so."""
    async with sessions_of() as store:
        pass

    for call in (store.expire(ADA, 1.0), store.users("acme")):
        with pytest.raises(MemoryUnavailable):
            await call
