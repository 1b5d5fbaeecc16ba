"""What every SessionStore promises."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.errors import BadRequest
from gateway.memory.ports import SessionStore
from gateway.memory.records import Page, Placed, Scope, Usage
from tests.contracts.conftest import Opening
from tests.contracts.samples import ADA, BOB, IDS, NO_CURSORS, TRACES_KEPT, placed, trace
from tests.support.model import Clock


async def names(store: SessionStore, limit: int) -> list[str]:
    """All pages of Ada's sessions."""
    page: Page[Any] = await store.sessions(ADA, limit=limit)
    found = [*page.items]
    while page.cursor is not None:
        page = await store.sessions(ADA, cursor=page.cursor, limit=limit)
        found += page.items
    return [name for name, _, _ in found]


async def test_a_placement_is_seen_at_once(sessions: SessionStore) -> None:
    """Whole, and under its own chain only."""
    what = Placed("s\0", "t \udc80", "injected", ("m1", "m2"), 1.5, 2)

    await sessions.place(ADA, "chain", what)

    assert await sessions.placed(ADA, ["other", "chain"]) == {"chain": what}


async def test_a_placement_is_replaced(sessions: SessionStore) -> None:
    """The latest counts."""
    await sessions.place(ADA, "chain", placed("t", "m"))
    await sessions.place(ADA, "chain", placed("t"))

    assert await sessions.placed(ADA, ["chain"]) == {"chain": placed("t")}


async def test_a_chain_unknown_before_is_found_once_placed(sessions: SessionStore) -> None:
    """Not knowing it is not remembered for ever."""
    assert await sessions.placed(ADA, ["chain"]) == {}
    await sessions.place(ADA, "chain", placed("t"))

    assert await sessions.placed(ADA, ["chain"]) == {"chain": placed("t")}


async def test_chains_are_opaque(sessions_of: Opening) -> None:
    """Any string, also after reopening."""
    async with sessions_of() as store:
        for id in IDS:
            await store.place(ADA, id, placed(id, id, session=id))
        assert await store.placed(ADA, IDS) == {id: placed(id, id, session=id) for id in IDS}
    async with sessions_of() as store:
        assert await store.placed(ADA, IDS) == {id: placed(id, id, session=id) for id in IDS}


async def test_what_was_just_placed_is_listed(sessions: SessionStore) -> None:
    """Though nobody has waited for the disk."""
    for number in range(50):
        await sessions.place(ADA, str(number), placed(str(number), session=str(number), at=number))
        assert [p.turn for p in (await sessions.placements(ADA, str(number))).items] == [str(number)]
        assert (await sessions.sessions(ADA, limit=1)).items == ((str(number), 1, number),)


async def test_sessions_are_listed_latest_first(sessions: SessionStore) -> None:
    """With how many turns they have and when the last one was."""
    await sessions.place(ADA, "1", placed("t1", session="old", at=1))
    await sessions.place(ADA, "2", placed("t2", session="new", at=2))
    await sessions.place(ADA, "3", placed("t3", session="new", at=3))
    await sessions.place(BOB, "4", placed("t4", session="bob's", at=4))
    await sessions.count(ADA)  # what was queued before is there now

    assert (await sessions.sessions(ADA)).items == (("new", 2, 3.0), ("old", 1, 1.0))


async def test_pages_of_sessions_cover_each_once(sessions: SessionStore) -> None:
    """Also where many have the same time."""
    for number, id in enumerate(IDS):
        await sessions.place(ADA, id, placed(id, session=id, at=number // 3))
    await sessions.count(ADA)

    for limit in (1, 2, 5, 100):
        found = await names(sessions, limit)
        assert sorted(found) == sorted(IDS)


async def test_pages_of_placements_cover_each_once(sessions: SessionStore) -> None:
    """Earliest first."""
    for number, id in enumerate(IDS):
        await sessions.place(ADA, id, placed(id, at=number // 3))
    await sessions.place(ADA, "elsewhere", placed("t", session="other"))
    await sessions.count(ADA)

    for limit in (1, 2, 5, 100):
        page = await sessions.placements(ADA, "s", limit=limit)
        found = [*page.items]
        while page.cursor is not None:
            page = await sessions.placements(ADA, "s", cursor=page.cursor, limit=limit)
            found += page.items
        assert sorted(p.turn for p in found) == sorted(IDS)
        assert [p.at for p in found] == sorted(p.at for p in found)


async def test_all_placements_are_told_under_their_chains(sessions: SessionStore) -> None:
    """Of whatever session, and of nobody else; also what was just placed."""
    told = {id: placed(id, id, session=id, at=number) for number, id in enumerate([*IDS, ""])}
    for chain, what in told.items():
        await sessions.place(ADA, chain, what)
    await sessions.place(BOB, "chain", placed("bob's"))

    for limit in (1, 2, 100):
        page: Page[tuple[str, Placed]] = await sessions.chained(ADA, limit=limit)
        found = dict(page.items)
        while page.cursor is not None:
            page = await sessions.chained(ADA, cursor=page.cursor, limit=limit)
            found |= dict(page.items)
        assert found == told


async def test_what_is_placed_meanwhile_hides_no_placement(sessions: SessionStore) -> None:
    """Between two pages hundreds come in, and old conversations go on."""
    for number in range(300):
        await sessions.place(ADA, f"before {number}", placed(str(number), session=f"s{number}", at=number))
    page: Page[tuple[str, Placed]] = await sessions.chained(ADA, limit=50)
    found = {chain for chain, _ in page.items}
    while page.cursor is not None:
        for number in range(100):
            await sessions.place(ADA, f"{page.cursor} {number}", placed("new", session=f"s{number}", at=1000))
            await sessions.place(ADA, f"before {number}", placed("again", session=f"s{number}", at=1000))
        page = await sessions.chained(ADA, cursor=page.cursor, limit=200)
        found |= {chain for chain, _ in page.items}

    assert {f"before {number}" for number in range(300)} <= found


async def test_a_foreign_cursor_is_the_callers_fault(sessions: SessionStore) -> None:
    """BadRequest, from every list."""
    for cursor in NO_CURSORS:
        with pytest.raises(BadRequest):
            await sessions.sessions(ADA, cursor=cursor)
        with pytest.raises(BadRequest):
            await sessions.placements(ADA, "s", cursor=cursor)
        with pytest.raises(BadRequest):
            await sessions.chained(ADA, cursor=cursor)


async def test_a_trace_comes_back_whole(sessions: SessionStore) -> None:
    """By its id within the tenant, and in the user's list."""
    told = trace("id \udc80", ADA, "t", "m1", "m2")

    await sessions.trace(told)

    assert await sessions.find_trace("acme", "id \udc80") == told
    assert await sessions.find_trace("other", "id \udc80") is None
    assert await sessions.traces(ADA) == [told]


async def test_traces_are_listed_latest_first(sessions: SessionStore) -> None:
    """Of one session if asked, and no more than asked."""
    for number in range(4):
        await sessions.trace(trace(str(number), ADA, session="odd" if number % 2 else "even"))

    assert [t.id for t in await sessions.traces(ADA)] == ["3", "2", "1", "0"]
    assert [t.id for t in await sessions.traces(ADA, session="odd")] == ["3", "1"]
    assert [t.id for t in await sessions.traces(ADA, limit=1)] == ["3"]


async def test_a_trace_told_again_is_completed(sessions: SessionStore) -> None:
    """One id, one trace; the later telling counts."""
    took = Usage(prompt=40, cached=None, completion=7)
    second = replace(trace("id", ADA, "t", "m"), tokens=99, skipped=("refused-by-worker",), usage=took)
    await sessions.trace(trace("id", ADA, "t", "m"))
    await sessions.trace(second)

    assert await sessions.traces(ADA) == [second]


async def test_the_oldest_traces_go(sessions: SessionStore) -> None:
    """In the long run no more than the limit and a few stay, and the latest are among them."""
    for number in range(10 * TRACES_KEPT):
        await sessions.trace(trace(str(number)))

    kept = [t.id for t in await sessions.traces(ADA, limit=10 * TRACES_KEPT)]
    assert TRACES_KEPT <= len(kept) < 5 * TRACES_KEPT
    assert kept == [str(number) for number in range(10 * TRACES_KEPT - 1, 10 * TRACES_KEPT - 1 - len(kept), -1)]


async def test_one_tenants_traces_do_not_push_out_anothers(sessions: SessionStore) -> None:
    """The limit counts per tenant."""
    await sessions.trace(trace("theirs", Scope("other", "ada")))
    for number in range(10 * TRACES_KEPT):
        await sessions.trace(trace(str(number)))

    assert await sessions.find_trace("other", "theirs") is not None


async def test_everything_survives_reopening(sessions_of: Opening, clock: Clock) -> None:
    """Placements and traces."""
    async with sessions_of() as store:
        await store.place(ADA, "chain", placed("t", "m"))
        await store.trace(trace("id", ADA))
    async with sessions_of() as store:
        assert await store.placed(ADA, ["chain"]) == {"chain": placed("t", "m")}
        assert await store.find_trace("acme", "id") == trace("id", ADA)
