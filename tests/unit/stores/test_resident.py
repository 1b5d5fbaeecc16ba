"""Small scopes that are asked about again stand in RAM: when they come, when they go, and that they never differ from
what is stored."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import MemoryUnavailable
from gateway.memory.records import Candidate, Entry, Scope
from gateway.memory.stores.edge import EdgeStore
from gateway.memory.stores.edge.resident import LARGEST_SCOPE, LEAST_COUNTED, MOST_MEMORIES, RECENT, Residents
from tests.contracts.samples import ADA, BOB, DIMENSION, entry, memory, query, vector

ASKED = query(vector(1), "a")


def some(scope: Scope, count: int) -> list[Entry]:
    """So many memories."""
    return [entry(memory(f"m{n}", scope)) for n in range(count)]


def user(number: int) -> Scope:
    """One of many."""
    return Scope("acme", f"user {number}")


def here(residents: Residents, scope: Scope) -> bool:
    """Whether the scope is in RAM."""
    return residents.search(scope, ASKED, 1) is not None


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EdgeStore]:
    """Empty and open."""
    async with EdgeStore.open(tmp_path, embedder_identity="test", dimension=DIMENSION) as store:
        yield store


async def asked(store: EdgeStore, scope: Scope = ADA, limit: int = 50) -> list[Candidate]:
    """What a search finds once whatever earlier ones set going is over."""
    await store.delete(scope, ["nobody"])  # stands in the same line
    return await store.search(scope, ASKED, limit)


async def made_resident(store: EdgeStore, scope: Scope = ADA) -> None:
    """Asked about until it stands in RAM."""
    for _ in range(3):
        await asked(store, scope)
    assert here(store._residents, scope)


def test_the_second_miss_is_worth_loading() -> None:
    """The first might be the last."""
    residents = Residents(DIMENSION)

    assert not residents.wants(ADA, 5)
    assert residents.wants(ADA, 5)
    residents.load(ADA, some(ADA, 5))
    assert here(residents, ADA)
    assert not here(residents, BOB)


def test_two_misses_far_apart_are_two_first_ones() -> None:
    """Others were missed more often meanwhile than are remembered."""
    residents = Residents(DIMENSION)
    residents.wants(ADA, 5)
    for number in range(RECENT):
        residents.wants(user(number), 5)

    assert not residents.wants(ADA, 5)


def test_a_large_scope_is_left_to_the_index() -> None:
    """However often it is asked about."""
    residents = Residents(DIMENSION)

    assert not any(residents.wants(ADA, LARGEST_SCOPE + 1) for _ in range(3))


def test_a_scope_that_grows_too_large_leaves() -> None:
    """With the put that makes it so."""
    residents = Residents(DIMENSION)
    residents.load(ADA, some(ADA, LARGEST_SCOPE))
    assert here(residents, ADA)
    residents.put([entry(memory("one more"))])

    assert not here(residents, ADA)


def test_whoever_was_asked_about_longest_ago_leaves_first() -> None:
    """When all together are too many."""
    residents = Residents(DIMENSION)
    fitting = MOST_MEMORIES // LARGEST_SCOPE
    for number in range(fitting):
        residents.load(user(number), some(user(number), LARGEST_SCOPE))
    assert here(residents, user(0))
    residents.load(ADA, some(ADA, 1))

    assert [here(residents, user(number)) for number in range(fitting)] == [n != 1 for n in range(fitting)]
    assert here(residents, ADA)


def test_empty_scopes_have_a_limit_too() -> None:
    """Each takes something."""
    residents = Residents(DIMENSION)
    for number in range(MOST_MEMORIES // LEAST_COUNTED + 1):
        residents.load(user(number), [])

    assert not here(residents, user(0))
    assert here(residents, user(1))


def test_who_is_in_use_is_not_pushed_out() -> None:
    """More users than fit would otherwise be loaded in turns, again and again; when they are idle, there is room."""
    residents = Residents(DIMENSION)
    for number in range(MOST_MEMORIES // LARGEST_SCOPE):
        residents.load(user(number), some(user(number), LARGEST_SCOPE))
    residents.wants(ADA, 5)
    assert not residents.wants(ADA, 5)
    for _ in range(RECENT):
        here(residents, user(0))

    assert residents.wants(ADA, 5)


async def test_what_changes_in_the_store_changes_in_ram(store: EdgeStore) -> None:
    """Put, replaced, archived, deleted: the next search knows."""
    await store.put([entry(memory(id), words="a") for id in "abcd"])
    await made_resident(store)

    await store.put([entry(memory("b", text="new")), entry(memory("c", status="archived")), entry(memory("e", BOB))])
    await store.put([entry(memory("f"), words="a")])
    assert await store.delete(ADA, ["d", "nobody"]) == 1

    found = {c.memory.id: c for c in await store.search(ADA, ASKED, 50)}
    assert found.keys() == {"a", "b", "f"}
    assert found["b"].memory.text == "new"
    assert "bm25_turn" in found["f"].signals and "bm25_turn" not in found["b"].signals
    assert here(store._residents, ADA)


async def test_what_is_put_while_a_scope_is_loaded_is_not_lost(store: EdgeStore) -> None:
    """Whichever comes first, both are there in the end."""
    await store.put([entry(memory(f"m{n}"), words="a") for n in range(300)])
    puts = [store.put([entry(memory(f"late{n}"), words="a")]) for n in range(20)]
    searches = [store.search(ADA, ASKED, 10) for _ in range(20)]
    await asyncio.gather(*(call for pair in zip(searches, puts, strict=True) for call in pair))

    found = {c.memory.id for c in await asked(store, limit=1_000)}
    assert here(store._residents, ADA)
    assert len(found) == 320


async def test_a_search_sees_a_replacement_whole(store: EdgeStore) -> None:
    """While memories are replaced again and again, each is found once, with the signals of what it then said."""
    ids = [f"m{n}" for n in range(40)]
    await store.put([entry(memory(id, text="0"), words="a") for id in ids])
    await made_resident(store)

    async def replace() -> None:
        for version in range(1, 60):
            words = "ab" if version % 2 else "a"
            await store.put([entry(memory(id, text=str(version)), words=words) for id in ids])

    async def search() -> None:
        for _ in range(60):
            found = await store.search(ADA, query(vector(1), "b"), 50)
            assert sorted(c.memory.id for c in found) == sorted(ids)
            assert all(("bm25_turn" in c.signals) == (int(c.memory.text) % 2 == 1) for c in found)

    await asyncio.gather(replace(), search(), search(), search())
    assert here(store._residents, ADA)


async def test_a_forgotten_user_is_nowhere_in_ram(store: EdgeStore) -> None:
    """Neither the text nor the name."""
    gone = Scope("acme", "canary")
    await store.put([entry(memory(f"canary {n}", gone, text="canary"), words="a") for n in range(50)])
    await store.put(some(BOB, 5))
    await made_resident(store, gone)
    await made_resident(store, BOB)
    assert any("canary" in text for text in strings(store))

    await store.forget(gone)

    assert not [text for text in strings(store) if "canary" in text]
    assert here(store._residents, BOB)
    assert await store.search(gone, ASKED, 50) == []


def strings(root: object) -> Iterator[str]:
    """All strings that can be reached from an object by way of data."""
    seen: dict[int, Any] = {}
    due = [root]
    while due:
        one = due.pop()
        if id(one) not in seen and not isinstance(one, type) and not callable(one):
            seen[id(one)] = one
            due += gc.get_referents(one)
    return (one for one in seen.values() if isinstance(one, str))


async def test_after_a_failed_write_the_store_is_asked_anew(store: EdgeStore) -> None:
    """What the engine did of it nobody knows."""
    await store.put(some(ADA, 5))
    await made_resident(store)
    with pytest.raises(MemoryUnavailable):
        await store.put([entry(memory("m1", text="new")), entry(memory("broken"), turn=[1.0])])

    assert not here(store._residents, ADA)
    assert {c.memory.id for c in await asked(store)} >= {f"m{n}" for n in range(5)}


async def test_a_scope_that_cannot_be_loaded_is_named_and_asked_of_the_index(
    store: EdgeStore, caplog: pytest.LogCaptureFixture
) -> None:
    """A failing load fails nobody."""
    await store.put(some(ADA, 5))
    store._residents._dimension = DIMENSION + 1
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert len(await asked(store)) == 5

    assert "could not be loaded" in caplog.text
    assert not store._loads


async def test_the_store_closes_while_scopes_are_loaded(tmp_path: Path) -> None:
    """And what was in the line is called off."""
    async with EdgeStore.open(tmp_path, embedder_identity="test", dimension=DIMENSION) as store:
        await store.put([one for number in range(40) for one in some(user(number), 20)])
        await asyncio.gather(*(store.search(user(number), ASKED, 5) for _ in range(2) for number in range(40)))

    assert not store._loads
