"""What every MemoryStore promises to those who list, count and change what is held: filters, the order of time, and
changes that leave the vectors."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gateway.errors import BadRequest
from gateway.memory.filters import Filter
from gateway.memory.ports import MemoryStore
from gateway.memory.records import Memory, Scope
from gateway.memory.thoughts import Thought
from tests.contracts.conftest import Opening
from tests.contracts.samples import ADA, BOB, NO_CURSORS, entry, memory, query, shuffled, vector

MOMENTS = [5.0, 1.5, 5.0, 3.0, -2.0, 5.0, 0.0, 3.0, 1e9, 5.0]
ONE = memory(
    "one", session="x", kind="fact", pinned=True, status="archived", trust="assistant", thought=Thought("scm"), at=5.0
)
OTHERS = {
    "session": replace(ONE, session="y"),
    "kind": replace(ONE, kind="note"),
    "pinned": replace(ONE, pinned=False),
    "status": replace(ONE, status="active"),
    "trust": replace(ONE, trust="operator"),
    "policy": replace(ONE, thought=Thought("tim")),
    "after": replace(ONE, at=4.9),
    "before": replace(ONE, at=6.0),
}
WHOLE = Filter(
    session="x", kind="fact", pinned=True, status="archived", trust="assistant", policy="scm", after=5.0, before=6.0
)


async def timeline(store: MemoryStore, only: Filter, limit: int) -> AsyncIterator[Memory]:
    """ADA's memories, latest first, page by page."""
    page = await store.browse(ADA, only, latest=True, limit=limit)
    while True:
        assert len(page.items) <= limit
        for each in page.items:
            yield each
        if page.cursor is None:
            return
        page = await store.browse(ADA, only, latest=True, cursor=page.cursor, limit=limit)


async def test_every_field_of_a_filter_counts(memories: MemoryStore) -> None:
    """What differs in one field only is left out by that field, and found without it."""
    await memories.put([entry(ONE), *(entry(replace(other, id=name)) for name, other in OTHERS.items())])

    assert [m.id for m in (await memories.browse(ADA, WHOLE)).items] == ["one"]
    assert await memories.count(ADA, WHOLE) == 1
    for name in OTHERS:
        wider = replace(WHOLE, **{name: None})
        assert {m.id for m in (await memories.browse(ADA, wider)).items} == {"one", name}
        assert await memories.count(ADA, wider) == 2
    assert await memories.count(ADA) == 1 + len(OTHERS)
    assert await memories.count(BOB, WHOLE) == 0


async def test_of_no_policy_is_what_was_said(memories: MemoryStore) -> None:
    """And whatever else belongs to none."""
    await memories.put([entry(memory("said")), entry(memory("watch", thought=Thought(""))), entry(ONE)])

    assert {m.id for m in (await memories.browse(ADA, Filter(policy=""))).items} == {"said", "watch"}
    assert await memories.count(ADA, Filter(policy="")) == 2


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 9, 10, 11])
async def test_a_timeline_begins_with_the_latest_and_tells_each_once(memories: MemoryStore, limit: int) -> None:
    """Also of many that were said at one moment, whatever the size of a page."""
    await memories.put([entry(memory(f"m{n}", at=at)) for n, at in enumerate(MOMENTS)])
    await memories.put([entry(memory("bob's", BOB, at=4.0))])

    told = [each async for each in timeline(memories, Filter(), limit)]

    assert [m.at for m in told] == sorted(MOMENTS, reverse=True)
    assert {m.id for m in told} == {f"m{n}" for n in range(len(MOMENTS))}


async def test_a_timeline_may_be_of_one_moment(memories: MemoryStore) -> None:
    """The pieces of a document have the same time."""
    ids = shuffled(23)
    await memories.put([entry(memory(id, at=7.0)) for id in ids])

    for limit in (1, 5, 23, 50):
        told = [each.id async for each in timeline(memories, Filter(), limit)]
        assert sorted(told) == sorted(ids)


async def test_a_timeline_can_be_narrowed(memories: MemoryStore) -> None:
    """By every other filter, and by time itself."""
    await memories.put([entry(memory(f"m{n}", at=at, pinned=n % 2 == 0)) for n, at in enumerate(MOMENTS)])

    told = [each.at async for each in timeline(memories, Filter(pinned=True, after=0.0, before=1e9), 2)]

    assert told == [5.0, 5.0, 0.0]


async def test_a_timeline_goes_on_behind_what_went_and_what_came(memories: MemoryStore) -> None:
    """What is there all the while is told once, though what was told is deleted and later things are said meanwhile."""
    ids = shuffled(20)
    await memories.put([entry(memory(id, at=float(n // 4))) for n, id in enumerate(ids)])
    page = await memories.browse(ADA, latest=True, limit=3)
    told = [m.id for m in page.items]
    while page.cursor is not None:
        await memories.delete(ADA, told)
        await memories.put([entry(memory(f"new {len(told)}", at=100.0))])
        page = await memories.browse(ADA, latest=True, cursor=page.cursor, limit=3)
        told += [m.id for m in page.items]

    assert sorted(told) == sorted(ids)


async def test_a_cursor_is_for_the_order_that_gave_it(memories: MemoryStore) -> None:
    """A foreign one is the caller's fault."""
    await memories.put([entry(memory(f"m{n}", at=float(n))) for n in range(5)])

    for cursor in NO_CURSORS:
        with pytest.raises(BadRequest):
            await memories.browse(ADA, latest=True, cursor=cursor)


async def test_an_amended_memory_is_as_told(memories_of: Opening) -> None:
    """Every filter finds it as it is now, also when the store is opened again."""
    now = replace(ONE, pinned=False, status="active", version=2, updated=9.0)
    async with memories_of() as store:
        await store.put([entry(ONE), entry(memory("other"))])
        await store.amend([now])
    async with memories_of() as store:
        assert await store.get(ADA, ["one"]) == [now]
        assert (await store.browse(ADA, Filter(kind="fact", status="active", pinned=False))).items == (now,)
        assert await store.count(ADA, Filter(status="archived")) == 0


async def test_an_amended_memory_keeps_its_vectors(memories: MemoryStore) -> None:
    """It is found by the same signals as before once it is active again, however often it was asked for between."""
    said = memory("m")
    await memories.put([entry(said, turn=vector(1, 2), near=vector(3, 1), words="bees")])
    asked = query(vector(1), "be")
    (before,) = await memories.search(ADA, asked, 5)
    await memories.amend([replace(said, status="archived")])
    for _ in range(3):
        assert await memories.search(ADA, asked, 5) == []
    await memories.amend([replace(said, pinned=True)])

    for _ in range(3):
        (after,) = await memories.search(ADA, asked, 5)
        assert after.memory.pinned
        assert after.signals == pytest.approx(before.signals, abs=1e-3)


async def test_amending_what_is_not_there_makes_nothing(memories: MemoryStore) -> None:
    """Nor does it touch the same id of somebody else."""
    await memories.put([entry(memory("m", BOB))])
    await memories.amend([memory("m", pinned=True), memory("n")])
    await memories.amend([])

    assert await memories.count(ADA) == 0
    assert (await memories.get(Scope("acme", "bob"), ["m"]))[0].pinned is False
