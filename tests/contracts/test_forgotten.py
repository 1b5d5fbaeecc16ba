"""What had begun before its user was forgotten is not kept afterwards, in whatever store."""

import time
from dataclasses import replace

import pytest

from gateway.memory.ports import Journal, SessionStore
from tests.contracts.conftest import Opening
from tests.contracts.samples import ADA, BOB, LOOKALIKES, placed, trace, turn


async def test_a_turn_under_way_is_not_kept(journal: Journal) -> None:
    """Told or told again; nothing of it is there, and nobody is given it."""
    began = time.monotonic()
    await journal.append(turn("again"), began)
    assert await journal.forget(ADA) == 1

    assert [await journal.append(turn(id), began) for id in ("again", "new")] == [0, 0]
    assert (await journal.count(ADA), await journal.claim(10)) == (0, [])


async def test_what_begins_later_is_kept(journal: Journal) -> None:
    """Who was forgotten may speak again, and so may others all the while; so is a turn of which nobody knows when."""
    began = time.monotonic()
    await journal.forget(ADA)

    assert await journal.append(turn("later"), time.monotonic())
    assert await journal.append(turn("unknown"))
    assert await journal.append(turn("bob's", BOB), began)


async def test_only_who_was_forgotten_is(journal: Journal) -> None:
    """Scopes match exactly."""
    began = time.monotonic()
    await journal.forget(LOOKALIKES[0])
    numbers = [await journal.append(turn("id", scope), began) for scope in LOOKALIKES]

    assert [number == 0 for number in numbers] == [True] + [False] * (len(LOOKALIKES) - 1)


async def test_an_erased_turn_may_be_told_again(journal: Journal) -> None:
    """Erasing is no forgetting: the turn that was under way is kept."""
    began = time.monotonic()
    await journal.append(turn("id"), began)
    await journal.erase(ADA, ["id"])

    assert await journal.append(turn("id"), began)


@pytest.mark.parametrize("hold", [False, True])
async def test_another_process_hears_of_it(journal_of: Opening, hold: bool) -> None:
    """The one who forgets is not the one whose turn is under way, where several share a journal."""
    began = time.monotonic()
    async with journal_of() as journal:
        if hold:
            async with journal.hold(ADA):
                await journal.forget(ADA)
        else:
            await journal.forget(ADA)
        assert await journal.append(turn("id"), began) == 0


async def test_what_was_placed_under_way_is_not_kept(sessions: SessionStore) -> None:
    """Not even that there was a turn; of others, and of later turns, it is."""
    began = time.monotonic()
    await sessions.forget(ADA)
    await sessions.place(ADA, "chain", placed("t", "m"), began)
    await sessions.place(BOB, "chain", placed("t", "m"), began)
    assert (await sessions.placed(ADA, ["chain"]), await sessions.count(ADA)) == ({}, 0)
    assert await sessions.placed(BOB, ["chain"]) == {"chain": placed("t", "m")}

    await sessions.place(ADA, "chain", placed("t"), time.monotonic())

    assert await sessions.placed(ADA, ["chain"]) == {"chain": placed("t")}


async def test_a_trace_under_way_is_not_kept(sessions: SessionStore) -> None:
    """Neither a new one nor what completes an old one; a later one is."""
    began = time.monotonic()
    await sessions.trace(trace("old"), began)
    await sessions.forget(ADA)
    for id in ("old", "new"):
        await sessions.trace(replace(trace(id), tokens=99), began)
    assert (await sessions.traces(ADA), await sessions.count(ADA)) == ([], 0)

    await sessions.trace(trace("later"), time.monotonic())

    assert [found.id for found in await sessions.traces(ADA)] == ["later"]
