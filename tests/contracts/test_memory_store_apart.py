"""Every MemoryStore keeps users apart, forgets one of them only, and says so when it is closed."""

import asyncio

import pytest

from gateway.errors import MemoryUnavailable
from gateway.memory.ports import MemoryStore
from gateway.memory.records import Scope
from tests.contracts.conftest import Opening
from tests.contracts.samples import ADA, BOB, LOOKALIKES, entry, memory, query, shuffled, vector


async def test_scopes_never_mix(memories: MemoryStore) -> None:
    """Scopes that look alike share nothing, under the same memory id."""
    for number, scope in enumerate(LOOKALIKES):
        assert await memories.get(scope, ["m"]) == []
        assert (await memories.browse(scope)).items == ()
        assert await memories.search(scope, query(vector(1), "a"), 50) == []
        assert await memories.neighbours(scope, "s", 1, 1, 50) == []
        assert await memories.delete(scope, ["m"]) == 0
        await memories.put([entry(memory("m", scope, text=str(number), seq=2), words="a")])

    for number, scope in enumerate(LOOKALIKES):
        assert [m.text for m in await memories.get(scope, ["m"])] == [str(number)]
        assert [m.text for m in (await memories.browse(scope)).items] == [str(number)]
        assert [c.memory.text for c in await memories.search(scope, query(vector(1), "a"), 50)] == [str(number)]
        assert [m.text for m in await memories.neighbours(scope, "s", 1, 1, 50)] == [str(number)]
        assert await memories.count(scope) == 1


async def test_removing_touches_no_lookalike(memories: MemoryStore) -> None:
    """Neither delete nor forget reaches a scope that only looks like the one asked for."""
    await memories.put([entry(memory("m", scope)) for scope in LOOKALIKES])
    for number, scope in enumerate(LOOKALIKES[:-2]):
        assert await memories.delete(scope, ["m"]) == 1
        assert await memories.count(LOOKALIKES[number + 1]) == 1
    assert await memories.forget(LOOKALIKES[-2]) == 1

    assert [await memories.count(scope) for scope in LOOKALIKES] == [0] * (len(LOOKALIKES) - 1) + [1]


async def test_users_tell_lookalikes_apart(memories: MemoryStore) -> None:
    """Each user is counted under exactly their own name and tenant."""
    await memories.put([entry(memory("m", scope)) for scope in LOOKALIKES])

    for tenant in {scope.tenant for scope in LOOKALIKES}:
        expected = {scope.user: 1 for scope in LOOKALIKES if scope.tenant == tenant}
        assert await memories.users(tenant) == expected


async def test_forget_removes_one_user_only(memories: MemoryStore) -> None:
    """Everything of the scope, and nothing of another; it says how much it was."""
    await memories.put([entry(memory(id, scope), words="a") for id in "abc" for scope in (ADA, BOB)])
    before = await memories.search(BOB, query(vector(1), "a"), 5)

    assert await memories.forget(ADA) == 3

    assert (await memories.browse(ADA)).items == ()
    assert await memories.search(ADA, query(vector(1), "a"), 5) == []
    after = await memories.search(BOB, query(vector(1), "a"), 5)
    assert sorted(c.memory.id for c in after) == sorted(c.memory.id for c in before) == ["a", "b", "c"]
    assert all(c.signals.keys() == {"dense_turn", "dense_near", "bm25_turn", "bm25_near"} for c in after)
    assert await memories.forget(ADA) == 0


async def test_after_forgetting_one_may_begin_anew(memories: MemoryStore) -> None:
    """The same ids can be put again."""
    await memories.put([entry(memory("m"))])
    await memories.forget(ADA)
    await memories.put([entry(memory("m", text="again"))])

    assert [m.text for m in (await memories.browse(ADA)).items] == ["again"]


async def test_users_counts_each_users_memories(memories: MemoryStore) -> None:
    """Of one tenant only; forgotten users are gone from it."""
    elsewhere = Scope("other", "ada")
    await memories.put([entry(memory(id, scope)) for id in "ab" for scope in (ADA, BOB, elsewhere)])
    await memories.delete(BOB, ["a"])

    assert await memories.users("acme") == {"ada": 2, "bob": 1}
    await memories.forget(ADA)
    assert await memories.users("acme") == {"bob": 1}
    assert await memories.users("nobody") == {}


async def test_calls_may_run_at_once(memories: MemoryStore) -> None:
    """Mixed calls side by side neither fail nor lose anything."""
    await memories.put([entry(memory(id, BOB), words="b") for id in shuffled(30)])

    async def one(number: int) -> None:
        await memories.put([entry(memory(f"m{number}", seq=number), words="ab")])
        await memories.search(ADA, query(vector(1), "a"), 5)
        await memories.browse(BOB, limit=7)
        await memories.neighbours(ADA, "s", number, number, 2)
        if number % 8 == 0:
            await memories.forget(Scope("acme", f"user {number}"))
        if number % 4 == 0:
            assert await memories.delete(ADA, [f"m{number}"]) == 1

    await asyncio.gather(*map(one, range(32)))

    assert await memories.count(ADA) == 24
    assert await memories.count(BOB) == 30


async def test_reading_goes_on_while_others_are_forgotten(memories: MemoryStore) -> None:
    """A user's searches see all of their memories at any moment of another user's forgetting."""
    await memories.put([entry(memory(id, BOB), words="b") for id in shuffled(40)])
    done = asyncio.Event()

    async def read() -> int:
        rounds = 0
        while not done.is_set() or not rounds:
            found = await memories.search(BOB, query(vector(1), "b"), 50)
            assert len(found) == 40
            await asyncio.sleep(0)
            rounds += 1
        return rounds

    readers = [asyncio.create_task(read()) for _ in range(3)]
    for number in range(3):
        await memories.put([entry(memory(str(number)))])
        assert await memories.forget(ADA) == 1
    done.set()

    assert min(await asyncio.gather(*readers)) > 0


async def test_a_closed_store_is_unavailable(memories_of: Opening) -> None:
    """Every call says so, and nothing foreign gets out."""
    async with memories_of() as store:
        pass

    for call in (
        store.put([entry(memory("m"))]),
        store.search(ADA, query(vector(1)), 5),
        store.get(ADA, ["m"]),
        store.browse(ADA),
        store.neighbours(ADA, "s", 1, 1, 2),
        store.delete(ADA, ["m"]),
        store.forget(ADA),
        store.count(ADA),
        store.users("acme"),
        store.tenants(),
        store.ping(),
    ):
        with pytest.raises(MemoryUnavailable):
            await call
