"""Many writers over one Redis journal: one user, one writer, in order; and what a dead one had is not lost."""

import asyncio
import random
import sys
from collections import defaultdict
from contextlib import AsyncExitStack

import pytest

from gateway.memory.records import Scope
from gateway.memory.stores.redis import Connection, RedisJournal
from tests.contracts.samples import ADA, BOB, turn
from tests.integration.redis.conftest import Writers
from tests.support.gateway import ROOT
from tests.support.redis_server import shared

SHORT = 0.4
CLAIM_AND_HANG = """
import asyncio, sys
from gateway.memory.stores.redis import Connection, RedisJournal

async def main():
    async with Connection.open(sys.argv[1], durability="process", prefix=sys.argv[2]) as connection:
        async with RedisJournal.open(connection, lease=float(sys.argv[3])) as journal:
            print(*(turn.id for turn in await journal.claim(100)), flush=True)
            await asyncio.sleep(60)

asyncio.run(main())
"""


async def claim_and_die(prefix: str) -> list[str]:
    """What a writer in a process of its own had claimed when it was killed."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CLAIM_AND_HANG, shared().url, prefix, str(SHORT), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    told = await child.stdout.readline()
    child.kill()
    await child.wait()
    return told.decode().split()


async def ids(journal: RedisJournal, limit: int = 100) -> list[str]:
    """What a claim gives."""
    return [found.id for found in await journal.claim(limit)]


async def until_claimed(journal: RedisJournal) -> list[str]:
    """What a claim gives as soon as it gives anything."""
    async with asyncio.timeout(10):
        while not (found := await ids(journal)):
            await asyncio.sleep(0.02)
        return found


async def test_a_user_is_indexed_by_one_writer_at_a_time_and_in_order(writers: Writers) -> None:
    """While five writers claim what three gateways append; every turn is indexed once."""
    dice, users = random.Random(5), [Scope("acme", f"user {number}") for number in range(12)]
    busy: dict[Scope, int] = {}
    indexed: dict[Scope, list[int]] = defaultdict(list)
    told = 0

    async def tell(journal: RedisJournal, gateway: int) -> None:
        nonlocal told
        for number in range(100):
            await journal.append(turn(f"{gateway} {number}", dice.choice(users)))
            told += 1

    async def index(journal: RedisJournal, writer: int, telling: asyncio.Task[None]) -> None:
        while not telling.done() or (await journal.lag()).pending:
            claimed = await journal.claim(dice.randrange(1, 9))
            for scope in {found.scope for found in claimed}:
                assert busy.setdefault(scope, writer) == writer
            await asyncio.sleep(dice.random() * 0.01)
            for found in claimed:
                indexed[found.scope].append(found.seq)
            for scope in {found.scope for found in claimed}:
                del busy[scope]
            await journal.done(claimed)

    async with AsyncExitStack() as stack:
        gateways = [await stack.enter_async_context(writers()) for _ in range(3)]
        hands = [await stack.enter_async_context(writers()) for _ in range(5)]
        async with asyncio.TaskGroup() as tasks:
            telling = [tasks.create_task(tell(journal, number)) for number, journal in enumerate(gateways)]
            for number, journal in enumerate(hands):
                tasks.create_task(index(journal, number, telling[number % 3]))

    numbers = [seq for found in indexed.values() for seq in found]
    assert all(found == sorted(found) for found in indexed.values())
    assert len(numbers) == len({*numbers}) == told == 300


async def test_writers_share_a_backlog(writers: Writers) -> None:
    """A second one finds work while the first is at it, and neither is given what the other has."""
    async with writers() as one, writers() as other:
        for number in range(20):
            await one.append(turn(str(number), Scope("acme", f"user {number % 10}")))

        mine, theirs = await one.claim(8), await other.claim(8)

        assert (len(mine), len(theirs)) == (8, 4)
        assert not {found.scope for found in mine} & {found.scope for found in theirs}
        assert await other.claim(100) == theirs


async def test_a_user_is_given_to_the_next_writer_when_settled(writers: Writers) -> None:
    """Not before all that was claimed of them is done or has failed."""
    async with writers() as one, writers() as other:
        for id in "abc":
            await one.append(turn(id))
        first, second = await one.claim(2)
        await one.done([first])
        assert await ids(other) == []

        await one.fail(second, "why", attempts=3, delay=0)

        assert await ids(other) == ["b", "c"]


async def test_what_a_killed_writer_had_is_taken_over(writers: Writers, prefix: str) -> None:
    """When its lease is over, whole and in order, with what came in meanwhile."""
    async with writers(SHORT) as journal:
        for id in "ab":
            await journal.append(turn(id))
        await journal.append(turn("bob's", BOB))
        assert await claim_and_die(prefix) == ["a", "b", "bob's"]
        await journal.append(turn("c"))

        assert await ids(journal) == []
        assert await until_claimed(journal) == ["a", "b", "bob's", "c"]


async def test_a_living_writer_keeps_what_it_works_on(writers: Writers) -> None:
    """Well beyond its lease."""
    async with writers(SHORT) as one, writers(SHORT) as other:
        await one.append(turn("id"))
        claimed = await one.claim(10)
        for _ in range(10):
            await asyncio.sleep(SHORT / 4)
            assert await other.claim(10) == []
        await one.done(claimed)

        assert (await other.lag()).pending == 0


async def test_a_writer_that_ends_lets_go_at_once(writers: Writers) -> None:
    """Nobody waits for its lease."""
    async with writers() as other:
        async with writers() as one:
            await one.append(turn("id"))
            assert await ids(one) == ["id"]
            assert await ids(other) == []

        assert await ids(other) == ["id"]


async def test_a_delayed_turn_comes_back_to_any_writer(writers: Writers) -> None:
    """Its user is nobody's meanwhile."""
    async with writers() as one, writers() as other:
        await one.append(turn("id"))
        (claimed,) = await one.claim(10)
        await one.fail(claimed, "why", attempts=3, delay=0.2)

        assert await ids(other) == []
        assert await until_claimed(other) == ["id"]


async def test_the_line_is_as_long_as_users_wait(writers: Writers, connection: Connection) -> None:
    """Never longer, and nothing in it is trimmed; when all is indexed nothing is left over."""
    line = connection.prefix.encode() + b":{journal}:line"
    async with writers() as journal:
        for number in range(120):
            await journal.append(turn(str(number), Scope("acme", f"user {number % 3}")))
        assert await connection.call("XLEN", line) == 3
        for _ in range(40):
            await journal.done(await journal.claim(3))

        assert (await journal.lag()).pending == 0
        assert await connection.call("XLEN", line) == 0
        assert (await connection.call("XPENDING", line, "writers"))["pending"] == 0


async def test_the_names_of_dead_writers_go(writers: Writers, connection: Connection, prefix: str) -> None:
    """Once what they had is taken over, the next that starts removes them."""
    line = connection.prefix.encode() + b":{journal}:line"
    async with writers(SHORT) as journal:
        await journal.append(turn("id"))
        await claim_and_die(prefix)
        await journal.done(await journal.claim(10) if await until_claimed(journal) else [])
    assert len(await connection.call("XINFO", "CONSUMERS", line, "writers")) == 1
    await asyncio.sleep(0.05)
    async with writers(0.001):
        assert await connection.call("XINFO", "CONSUMERS", line, "writers") == []


async def test_forgetting_waits_for_a_writer_that_is_at_work(writers: Writers) -> None:
    """It would put back into memory what was just removed; who is forgotten elsewhere does not wait."""
    async with writers() as one, writers() as other:
        await one.append(turn("id"))
        await one.append(turn("bob's", BOB))
        mine = [found for found in await one.claim(1) if found.scope == ADA]
        forgetting = asyncio.create_task(other.forget(ADA))
        assert await other.erase(BOB, ["bob's"]) == 1
        await asyncio.sleep(0.2)
        assert not forgetting.done()

        await one.done(mine)

        assert await asyncio.wait_for(forgetting, 5) == 1
        assert await one.count(ADA) == 0


async def test_forgetting_does_not_wait_for_a_dead_writer(writers: Writers, prefix: str) -> None:
    """Only for its lease; and its turns do not come back."""
    async with writers(SHORT) as journal:
        await journal.append(turn("id"))
        await claim_and_die(prefix)

        assert await asyncio.wait_for(journal.forget(ADA), 10) == 1

        await asyncio.sleep(SHORT)
        assert await ids(journal) == []


async def test_a_slow_writer_cannot_end_what_another_has_taken_over(writers: Writers) -> None:
    """The user stays with the one who has them now."""
    async with writers(60.0) as slow, writers(0.001) as quick:
        for id in "ab":
            await slow.append(turn(id))
        first, _ = await slow.claim(2)
        await asyncio.sleep(0.01)
        assert await ids(quick) == ["a", "b"]

        await slow.fail(first, "why", attempts=9, delay=0)
        await slow.done(await slow.claim(10))

        assert await ids(quick) == ["a", "b"]


@pytest.mark.slow
async def test_no_turn_is_lost_when_writers_die_all_the_time(writers: Writers, prefix: str) -> None:
    """Each of several killed ones had claimed all that was pending."""
    async with writers(SHORT) as journal:
        for round_ in range(4):
            for number in range(10):
                await journal.append(turn(f"{round_}-{number}", Scope("acme", f"user {number % 4}")))
            await asyncio.sleep(1.5 * SHORT)
            assert len(await claim_and_die(prefix)) == 10 * (round_ + 1)

        found = await until_claimed(journal)

        assert len(found) == len({*found}) == 40
