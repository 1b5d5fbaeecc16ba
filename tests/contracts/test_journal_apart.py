"""Every Journal keeps users apart, erases what it is told, and says so when it is closed."""

import asyncio

import pytest

from gateway.errors import MemoryUnavailable
from gateway.memory.ports import Journal
from tests.contracts.conftest import Opening
from tests.contracts.samples import ADA, BOB, LOOKALIKES, turn


async def test_scopes_never_mix(journal: Journal) -> None:
    """Scopes that look alike share nothing, under the same turn id."""
    for number, scope in enumerate(LOOKALIKES):
        assert await journal.turns(scope, ["id"]) == []
        assert await journal.pending(scope) == []
        assert await journal.count(scope) == 0
        assert await journal.erase(scope, ["id"]) == 0
        await journal.append(turn("id", scope, user_text=str(number)))

    for number, scope in enumerate(LOOKALIKES):
        assert [t.user_text for t in await journal.turns(scope, ["id"])] == [str(number)]
        assert [t.user_text for t in await journal.pending(scope)] == [str(number)]
    assert [t.scope for t in await journal.claim(100)] == LOOKALIKES


async def test_removing_touches_no_lookalike(journal: Journal) -> None:
    """Neither erasing nor forgetting reaches a scope that only looks like the one asked for."""
    for scope in LOOKALIKES:
        await journal.append(turn("id", scope))
    for number, scope in enumerate(LOOKALIKES[:-1]):
        assert await (journal.erase(scope, ["id"]) if number % 2 else journal.forget(scope)) == 1
        assert await journal.count(LOOKALIKES[number + 1]) == 1

    assert [t.scope for t in await journal.claim(100)] == LOOKALIKES[-1:]


async def test_erase_counts_what_existed(journal: Journal) -> None:
    """Whatever the state; unknown ids and repetitions do not count."""
    for id in ("pending", "done", "dead", "stays"):
        await journal.append(turn(id))
    await journal.done([t for t in await journal.claim(10) if t.id == "done"])
    (dead,) = [t for t in await journal.claim(10) if t.id == "dead"]
    await journal.fail(dead, "why", attempts=1, delay=0)

    assert await journal.erase(ADA, ["pending", "done", "dead", "nobody", "done"]) == 3
    assert await journal.erase(ADA, []) == 0
    assert await journal.count(ADA) == 1


async def test_an_erased_turn_can_no_longer_fail_or_be_done(journal: Journal) -> None:
    """A claim outlived by its turn is no error and brings nothing back."""
    for id in "ab":
        await journal.append(turn(id))
    a, b = await journal.claim(10)
    await journal.forget(ADA)
    await journal.done([a])

    assert not await journal.fail(b, "why", attempts=1, delay=0)
    assert await journal.count(ADA) == 0


async def test_forget_removes_one_user_only(journal: Journal) -> None:
    """Everything of the scope; it says how many turns it was."""
    for id in "ab":
        await journal.append(turn(id))
        await journal.append(turn(id, BOB))

    assert await journal.forget(ADA) == 2
    assert await journal.count(ADA) == 0
    assert await journal.count(BOB) == 2


async def test_calls_may_run_at_once(journal: Journal) -> None:
    """Mixed calls side by side neither fail nor lose anything."""

    async def one(number: int) -> int:
        seq = await journal.append(turn(f"t{number}", BOB if number % 2 else ADA))
        await journal.pending(ADA, 3)
        if number % 4 == 0:
            assert await journal.erase(ADA, [f"t{number}"]) == 1
        await journal.lag()
        return seq

    numbers = await asyncio.gather(*map(one, range(60)))

    assert len({*numbers}) == 60
    assert len(await journal.claim(100)) == 45


async def test_a_closed_journal_is_unavailable(journal_of: Opening) -> None:
    """Every call says so, and nothing foreign gets out."""
    async with journal_of() as journal:
        pass

    for call in (
        journal.append(turn("id")),
        journal.claim(1),
        journal.done([turn("id", seq=1)]),
        journal.fail(turn("id", seq=1), "why", attempts=1, delay=0),
        journal.pending(ADA),
        journal.turns(ADA, ["id"]),
        journal.dead(),
        journal.replay([]),
        journal.lag(),
        journal.count(ADA),
        journal.erase(ADA, ["id"]),
        journal.forget(ADA),
        journal.ping(),
    ):
        with pytest.raises(MemoryUnavailable):
            await call
