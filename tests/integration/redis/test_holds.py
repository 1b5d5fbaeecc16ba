"""A user held in one process, and writers in others: over one real Redis nothing deleted or edited comes back."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.errors import MemoryUnavailable
from gateway.memory.curate import Curator
from gateway.memory.policies.verbatim import Verbatim
from gateway.memory.records import Memory
from gateway.memory.reflect import Writer
from gateway.memory.stores.edge import EdgeStore
from gateway.memory.stores.redis import Connection, RedisJournal, RedisSessions
from tests.contracts.samples import ADA, BOB, turn
from tests.integration.redis.conftest import Writers
from tests.support.embeddings import DIMENSION
from tests.support.gateway import ROOT
from tests.support.model import Clock
from tests.support.planner import unthinking
from tests.support.redis_server import RedisServer, shared
from tests.unit.stores.house import Words

SHORT = 0.4
HOLD_AND_HANG = """
import asyncio, sys
from gateway.memory.records import Scope
from gateway.memory.stores.redis import Connection, RedisJournal

async def main():
    async with Connection.open(sys.argv[1], durability="process", prefix=sys.argv[2]) as connection:
        async with RedisJournal.open(connection, lease=float(sys.argv[3])) as journal:
            async with journal.hold(Scope("acme", "ada")):
                print("held", flush=True)
                await asyncio.sleep(60)

asyncio.run(main())
"""


async def hold_and_die(prefix: str) -> None:
    """Somebody in a process of its own, killed while it held ADA."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLD_AND_HANG, shared().url, prefix, str(SHORT), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    assert await child.stdout.readline() == b"held\n"
    child.kill()
    await child.wait()


async def ids(journal: RedisJournal) -> list[str]:
    """What a claim gives."""
    return [found.id for found in await journal.claim(100)]


async def until_claimed(journal: RedisJournal) -> list[str]:
    """What a claim gives as soon as it gives anything."""
    async with asyncio.timeout(10):
        while not (found := await ids(journal)):
            await asyncio.sleep(0.02)
        return found


async def test_what_is_held_here_is_not_claimed_there(writers: Writers) -> None:
    """Well beyond the lease, for the holder lives; others' turns are."""
    async with writers(SHORT) as gateway, writers(SHORT) as writer:
        await gateway.append(turn("id"))
        await gateway.append(turn("bob's", BOB))
        async with gateway.hold(ADA):
            for _ in range(6):
                assert await ids(writer) == ["bob's"]
                await asyncio.sleep(SHORT / 2)

        assert sorted(await ids(writer)) == ["bob's", "id"]


async def test_a_hold_waits_for_a_writer_elsewhere(writers: Writers) -> None:
    """And goes before that writer's next claim."""
    async with writers() as gateway, writers() as writer:
        for id in "ab":
            await gateway.append(turn(id))
        first, second = await writer.claim(10)
        entering = asyncio.create_task(gateway.hold(ADA).__aenter__())
        await asyncio.sleep(0.2)
        assert not entering.done()
        await writer.done([first])

        assert await ids(writer) == []
        await asyncio.wait_for(entering, 5)

        await writer.done([second])
        assert [found.id for found in await gateway.pending(ADA)] == ["b"]


async def test_holders_in_two_processes_take_turns(writers: Writers) -> None:
    """Never both at once."""
    inside = 0

    async def hold(journal: RedisJournal) -> None:
        nonlocal inside
        for _ in range(5):
            async with journal.hold(ADA):
                inside += 1
                await asyncio.sleep(0.005)
                assert inside == 1
                inside -= 1

    async with writers() as one, writers() as other, asyncio.timeout(20):
        await asyncio.gather(hold(one), hold(other))


async def test_a_killed_holder_holds_no_longer_than_its_lease(writers: Writers, prefix: str) -> None:
    """Then the user is claimed, and held, as before."""
    async with writers(SHORT) as journal:
        await journal.append(turn("id"))
        await hold_and_die(prefix)
        assert await ids(journal) == []

        assert await until_claimed(journal) == ["id"]

        await journal.done(await journal.claim(10))
        await hold_and_die(prefix)
        async with asyncio.timeout(10), journal.hold(ADA):
            assert await journal.erase(ADA, ["id"]) == 1


async def test_a_killed_writer_keeps_nobody_from_holding(writers: Writers, prefix: str) -> None:
    """Beyond its lease; a living one that does not come to an end does, and that is said."""
    async with writers(SHORT) as journal, writers(SHORT) as writer:
        await journal.append(turn("id"))
        assert await ids(writer) == ["id"]

        with pytest.raises(MemoryUnavailable, match="come to an end"):
            async with journal.hold(ADA):
                raise AssertionError("held")


async def test_what_could_not_be_renewed_is_not_held(server: RedisServer) -> None:
    """Redis is away for longer than the lease: the block ends, for somebody else may have the user by now."""
    went_on = False
    async with (
        Connection.open(server.url, durability="process") as connection,
        RedisJournal.open(connection, lease=SHORT) as journal,
    ):
        with pytest.raises(MemoryUnavailable, match="not held long enough"):
            async with journal.hold(ADA):
                server.kill()
                await asyncio.sleep(10 * SHORT)
                went_on = True
        server.start()
    assert not went_on


async def test_a_hold_that_somebody_took_over_ends(writers: Writers, connection: Connection) -> None:
    """At the next renewal."""
    holders = connection.prefix.encode() + b":{journal}:holders"
    async with writers(SHORT) as journal:
        with pytest.raises(MemoryUnavailable, match="not held long enough"):
            async with asyncio.timeout(5), journal.hold(ADA):
                (who,) = await connection.call("HKEYS", holders)
                await connection.call("HSET", holders, who, b"somebody else")
                await asyncio.sleep(10)
        assert await connection.call("HGET", holders, who) == b"somebody else"


async def test_full_memory_holds_nobody_up(server: RedisServer) -> None:
    """Forgetting begins with a hold, and makes room."""
    async with (
        Connection.open(server.url, durability="process") as connection,
        RedisJournal.open(connection) as journal,
    ):
        await journal.append(turn("id"))
        await server.command("CONFIG", "SET", "maxmemory", "1")
        async with asyncio.timeout(30), journal.hold(ADA):
            assert await journal.forget(ADA) == 1


async def test_nothing_is_left_of_a_hold(writers: Writers, connection: Connection) -> None:
    """No key and nobody in the line."""
    async with writers() as journal, journal.hold(ADA):
        pass
    base = connection.prefix.encode() + b":{journal}:"
    for name in (b"holders", b"holds", b"wanted", b"standing"):
        assert await connection.call("EXISTS", base + name) == 0
    assert await connection.call("XLEN", base + b"line") == 0


@pytest.fixture
async def rooms(writers: Writers, connection: Connection, tmp_path: Path) -> AsyncIterator[tuple[Curator, Curator]]:
    """A gateway and a writer, each with a journal of its own, over the same memories."""
    sessions, clock = RedisSessions(connection, trace_limit=10), Clock()
    async with (
        EdgeStore.open(tmp_path / "memories", embedder_identity="words", dimension=DIMENSION) as memories,
        writers() as here,
        writers() as there,
    ):
        gateway, writer = (
            Curator(memories, sessions, each, Words(), Verbatim(), clock, unthinking()) for each in (here, there)
        )
        yield gateway, writer


@asynccontextmanager
async def caught(writer: Curator) -> AsyncIterator[None]:
    """The writer is in the middle of indexing, between what it has read and what it will write; it goes on at the
    end."""
    assert isinstance(writer.embedder, Words)
    writer.embedder.gate = asyncio.Event()
    writer.embedder.asked.clear()
    indexing = asyncio.create_task(writer.index(10))
    async with asyncio.timeout(10):
        while not writer.embedder.asked:
            await asyncio.sleep(0.005)
    yield
    writer.embedder.gate.set()
    assert await asyncio.wait_for(indexing, 10)


async def said(curator: Curator) -> dict[str, int]:
    """Texts that are indexed, and their versions."""
    return {memory.text: memory.version for memory in (await curator.memories.browse(ADA)).items}


def mended(old: Memory) -> Memory:
    """The edit."""
    return replace(old, text=f"mended {old.text}")


async def test_a_deletion_here_is_not_undone_there(rooms: tuple[Curator, Curator]) -> None:
    """A writer had read the memory as a neighbour, and would have written it back."""
    gateway, writer = rooms
    await gateway.journal.append(turn("a", user_text="alpha"))
    await writer.index(10)
    await gateway.journal.append(turn("b", user_text="beta"))
    async with caught(writer):
        deleting = asyncio.create_task(gateway.delete(ADA, ["a"]))
        await asyncio.sleep(0.2)

    assert await asyncio.wait_for(deleting, 10) == 1
    assert await said(gateway) == {"beta": 1}


async def test_an_edit_here_is_not_lost_there(rooms: tuple[Curator, Curator]) -> None:
    """Nor is what the writer indexed meanwhile."""
    gateway, writer = rooms
    await gateway.journal.append(turn("a", user_text="alpha"))
    await writer.index(10)
    await gateway.journal.append(turn("b", user_text="beta"))
    async with caught(writer):
        editing = asyncio.create_task(gateway.edit(ADA, "a", mended))
        await asyncio.sleep(0.2)

    assert await asyncio.wait_for(editing, 10)
    assert await said(gateway) == {"mended alpha": 2, "beta": 1}


async def test_a_writer_there_does_not_begin_in_the_middle_of_a_deletion(rooms: tuple[Curator, Curator]) -> None:
    """It would read the memory while it still stands, and write it back once it is gone."""
    gateway, writer = rooms
    for id in ("alpha", "gamma"):
        await gateway.journal.append(turn(id, user_text=id))
    await writer.index(10)
    assert isinstance(gateway.embedder, Words) and isinstance(writer.embedder, Words)
    gateway.embedder.gate, writer.embedder.gate = asyncio.Event(), asyncio.Event()
    deleting = asyncio.create_task(gateway.delete(ADA, ["alpha"]))
    async with asyncio.timeout(10):
        while not gateway.embedder.asked:
            await asyncio.sleep(0.005)
    await gateway.journal.append(turn("beta", user_text="beta"))
    indexing = asyncio.create_task(writer.index(10))
    await asyncio.sleep(0.2)
    gateway.embedder.gate.set()
    assert await asyncio.wait_for(deleting, 10) == 1
    writer.embedder.gate.set()
    await asyncio.wait_for(indexing, 10)
    await writer.index(10)

    assert await said(gateway) == {"gamma": 1, "beta": 1}


async def test_who_is_forgotten_here_does_not_come_back_from_there(rooms: tuple[Curator, Curator]) -> None:
    """The turn in the writer's hands goes with the others."""
    gateway, writer = rooms
    await gateway.journal.append(turn("a", user_text="alpha"))
    async with caught(writer):
        forgetting = asyncio.create_task(gateway.forget(ADA))
        await asyncio.sleep(0.2)

    assert (await asyncio.wait_for(forgetting, 20))["memories"] == 1
    assert await gateway.held(ADA) == {"turns": 0, "memories": 0, "sessions": 0, "thoughts": 0}


@pytest.mark.slow
async def test_changes_race_with_writers_elsewhere_and_none_is_lost(rooms: tuple[Curator, Curator]) -> None:
    """Edits and deletions among turns of the same session that another process indexes all the time."""
    gateway, there = rooms
    for number in range(16):
        await gateway.journal.append(turn(f"old {number}", user_text=f"old {number}"))
    await there.index(100)
    writer = Writer(there, there.journal, lambda result, count: None, idle=0.01)
    writing = asyncio.create_task(writer.run())

    async def told() -> None:
        for number in range(40):
            await gateway.journal.append(turn(f"new {number}", user_text=f"new {number}"))
            await asyncio.sleep(0.01)

    async with asyncio.timeout(60):
        await asyncio.gather(
            told(),
            *(gateway.edit(ADA, f"old {number}", mended) for number in range(8)),
            *(gateway.delete(ADA, [f"old {number}"]) for number in range(8, 16)),
        )
        while (await gateway.journal.lag()).pending:
            await asyncio.sleep(0.01)
    writer.stop()
    await writing

    assert {memory.text for memory in (await gateway.memories.browse(ADA, limit=100)).items} == {
        *(f"mended old {number}" for number in range(8)),
        *(f"new {number}" for number in range(40)),
    }
