"""Every Journal lets a user be held: whoever holds them has them alone, and nobody else waits for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.memory.ports import Journal
from gateway.memory.records import Scope
from tests.contracts.samples import ADA, BOB, LOOKALIKES, turn


async def ids(journal: Journal) -> list[str]:
    """What a claim gives."""
    return [found.id for found in await journal.claim(100)]


@asynccontextmanager
async def holding(journal: Journal, scope: Scope) -> AsyncIterator[asyncio.Event]:
    """Somebody else who asks to hold the user, and lets go at the end; the event says when they do hold."""
    held, enough = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with journal.hold(scope):
            held.set()
            await enough.wait()

    holder = asyncio.create_task(hold())
    try:
        yield held
    finally:
        enough.set()
        async with asyncio.timeout(10):
            await holder


async def soon(event: asyncio.Event) -> None:
    """It happens."""
    async with asyncio.timeout(10):
        await event.wait()


async def test_a_held_user_s_turns_are_not_given(journal: Journal) -> None:
    """Neither those that waited nor those that come in meanwhile; everybody else's are, and theirs afterwards."""
    await journal.append(turn("before"))
    await journal.append(turn("bob's", BOB))
    async with journal.hold(ADA):
        await journal.append(turn("meanwhile"))
        assert await ids(journal) == ["bob's"]

    assert await ids(journal) == ["before", "bob's", "meanwhile"]


async def test_other_users_do_not_wait_behind_a_held_one(journal: Journal) -> None:
    """However many of the oldest turns are the held user's."""
    for number in range(40):
        await journal.append(turn(str(number)))
    await journal.append(turn("bob's", BOB))
    async with journal.hold(ADA):
        assert [found.id for found in await journal.claim(8)] == ["bob's"]


async def test_a_hold_holds_nobody_who_only_looks_alike(journal: Journal) -> None:
    """Scopes match exactly."""
    for scope in LOOKALIKES:
        await journal.append(turn("id", scope))
    async with journal.hold(LOOKALIKES[0]):
        assert [found.scope for found in await journal.claim(100)] == LOOKALIKES[1:]


async def test_a_hold_waits_for_what_was_claimed(journal: Journal) -> None:
    """Until the last of it is done or has failed."""
    for id in "ab":
        await journal.append(turn(id))
    first, second = await journal.claim(10)
    async with holding(journal, ADA) as held:
        await journal.done([first])
        await asyncio.sleep(0.1)
        assert not held.is_set()

        await journal.fail(second, "why", attempts=3, delay=100)

        await soon(held)


async def test_nobody_waits_for_what_others_claimed(journal: Journal) -> None:
    """A claim takes its own users and no more."""
    await journal.append(turn("id"))
    await journal.claim(10)
    async with asyncio.timeout(5), journal.hold(BOB):
        assert await ids(journal) == ["id"]


async def test_whoever_waits_to_hold_comes_before_the_next_claim(journal: Journal) -> None:
    """A writer that goes on with what it has lets the user go: a backlog keeps nobody waiting."""
    await journal.append(turn("id"))
    assert await ids(journal) == ["id"]
    async with holding(journal, ADA) as held:
        await asyncio.sleep(0.1)
        assert await ids(journal) == []
        await soon(held)

    assert await ids(journal) == ["id"]


async def test_one_holder_at_a_time(journal: Journal) -> None:
    """Each of several gets their turn; whoever holds somebody else is in no one's way."""
    inside = 0

    async def hold(scope: Scope) -> None:
        nonlocal inside
        async with journal.hold(scope):
            assert scope == BOB or inside == 0
            inside += scope == ADA
            await asyncio.sleep(0.02)
            inside -= scope == ADA

    async with asyncio.timeout(10):
        await asyncio.gather(*(hold(ADA) for _ in range(5)), hold(BOB))


@pytest.mark.parametrize("every", [False, True])
async def test_a_holder_may_erase(journal: Journal, every: bool) -> None:
    """And still holds afterwards."""
    for id in "ab":
        await journal.append(turn(id))
    async with asyncio.timeout(5), journal.hold(ADA):
        assert await (journal.forget(ADA) if every else journal.erase(ADA, ["a"])) == (2 if every else 1)
        await journal.append(turn("c"))
        assert await ids(journal) == []

    assert await ids(journal) == (["c"] if every else ["b", "c"])


async def test_an_error_lets_go(journal: Journal) -> None:
    """It comes out as itself."""
    await journal.append(turn("id"))
    with pytest.raises(TimeoutError, match="mine"):
        async with journal.hold(ADA):
            raise TimeoutError("mine")

    assert await ids(journal) == ["id"]


async def test_who_gives_up_waiting_is_in_nobody_s_way(journal: Journal) -> None:
    """The user is held, let go, and claimed as if nobody had waited."""
    await journal.append(turn("id"))
    async with journal.hold(ADA):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1), journal.hold(ADA):
                raise AssertionError("held twice")

    async with asyncio.timeout(10):
        while not (found := await ids(journal)):
            await asyncio.sleep(0.05)
    assert found == ["id"]
