"""The agenda that many share over one real Redis: who wins, what is damaged, what leaves, and what a full one does."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from gateway.errors import MemoryUnavailable, StoreAway
from gateway.memory.records import Scope
from gateway.memory.reflections import Spent
from gateway.memory.stores.redis import Connection, RedisAgenda
from gateway.memory.stores.redis import keys as names
from tests.contracts.samples import ADA, BOB, memory
from tests.contracts.thoughts import derived, due, reflection
from tests.support.redis_server import RedisServer, shared

CANARY = "tweetytweety"
GONE = Scope("acme", f"user {CANARY}")


@asynccontextmanager
async def opened(url: str, prefix: str = "mneme") -> AsyncIterator[RedisAgenda]:
    """As one process has it."""
    async with Connection.open(url, durability="process", prefix=prefix) as connection:
        yield RedisAgenda(connection)


async def left(connection: Connection) -> dict[bytes, bytes]:
    """The agenda's keys, without what they all begin with, and their types."""
    base = connection.prefix.encode() + b":{agenda}:"
    found = await connection.call("KEYS", base + b"*")
    return {key.removeprefix(base): await connection.call("TYPE", key) for key in found}


async def test_of_two_clients_who_intend_the_same_turns_one_wins(prefix: str) -> None:
    """Round for round, over connections of their own; and each user is claimed by one of them."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(opened(shared().url, prefix)) for _ in range(2)]
        for number in range(50):
            turns = [f"{number} {part}" for part in "abc"]
            await clients[0].add(ADA, [due(turn) for turn in turns], 1.0)
            given = await asyncio.gather(*(client.claim(10.0 + number, 0.5) for client in clients))
            told = [reflection(f"{number} {who}", *turns[who : who + 2]) for who in range(2)]
            won = await asyncio.gather(*(client.intend(ADA, one) for client, one in zip(clients, told, strict=True)))

            assert sorted(map(str, given)) == sorted(map(str, [ADA, None]))
            assert sorted(won) == [False, True]
            await clients[0].conclude(ADA, told[won.index(True)])
        assert len(await clients[1].unfinished(ADA)) == 50


async def test_a_damaged_reflection_costs_itself(connection: Connection, caplog: pytest.LogCaptureFixture) -> None:
    """It is left out of lists and can be erased; one that was unfinished is removed, so that its user comes to an
    end."""
    agenda = RedisAgenda(connection)
    await agenda.add(ADA, [due("a"), due("b"), due("c")], 1.0)
    for id, state in (("a", "applied"), ("b", "intended"), ("c", "applied")):
        await agenda.intend(ADA, reflection(id, id, state=state))
    bodies = connection.prefix.encode() + b":{agenda}:bodies:" + names.who(ADA)
    for id in "ab":
        body = await connection.call("HGET", bodies, id)
        await connection.call("HSET", bodies, id, body[:20])

    assert [one.id for one in (await agenda.reflections(ADA)).items] == ["c"]
    with pytest.raises(MemoryUnavailable, match="damaged"):
        await agenda.reflection(ADA, "a")
    assert await agenda.claim(10.0, 1.0) == ADA
    with caplog.at_level(logging.ERROR):
        assert await agenda.unfinished(ADA) == []
    assert "1 unfinished reflections are damaged" in caplog.text
    assert await agenda.claim(1e9, 1.0) is None
    assert await agenda.erase(ADA, ["a"]) == 1
    assert await agenda.count(ADA) == 3


async def test_forget_leaves_no_byte_of_the_user(server: RedisServer) -> None:
    """In no file of the server, and others keep theirs."""
    async with opened(server.url) as agenda:
        for scope, word in ((GONE, CANARY), (BOB, "staying")):
            for number in range(30):
                id = f"{word} {number}"
                await agenda.add(scope, [due(id, policy=word, stamp=word), due(f"due {id}")], 1.0)
                image = memory(id, scope, word, text=word * 30, sources=(f"source {id}",))
                await agenda.intend(scope, reflection(id, id, policy=word, after=(image,), error=word))
            await agenda.claim(10.0, 60.0)
            await agenda.tried(scope)
        files = [file for file in server.folder.rglob("*") if file.is_file()]
        assert any(CANARY.encode() in file.read_bytes() for file in files)

        assert await agenda.forget(GONE) == 90

        files = [file for file in server.folder.rglob("*") if file.is_file()]
        assert not any(CANARY.encode() in file.read_bytes() for file in files)
        assert any(b"staying" in file.read_bytes() for file in files)
        assert await agenda.count(BOB) == 90
        assert await agenda.waiting() == 30


async def test_nothing_is_left_of_who_is_forgotten(connection: Connection) -> None:
    """No key but two numbers that name nobody."""
    agenda = RedisAgenda(connection)
    await agenda.add(ADA, [due("a"), due("b")], 1.0)
    await agenda.claim(10.0, 60.0)
    await agenda.intend(ADA, reflection("r", "a", after=(derived("m", "x"),)))
    await agenda.tried(ADA)
    assert len(await left(connection)) == 13

    await agenda.forget(ADA)

    assert await left(connection) == {b"number": b"string", b"waiting": b"string"}


async def test_who_has_nothing_left_to_do_stands_nowhere(connection: Connection) -> None:
    """What was thought about, and what came of it, is all that is kept."""
    agenda = RedisAgenda(connection)
    await agenda.add(ADA, [due("a")], 1.0)
    await agenda.claim(10.0, 60.0)
    await agenda.tried(ADA)
    await agenda.intend(ADA, reflection("r", "a"))
    await agenda.conclude(ADA, reflection("r", "a", state="applied"))

    kinds = {key.partition(b":")[0] for key in await left(connection)}
    assert kinds == {b"number", b"waiting", b"thought", b"kept", b"bodies", b"rests", b"sources"}


async def test_spending_goes_after_eight_days(connection: Connection) -> None:
    """Counted from when something was spent last."""
    agenda = RedisAgenda(connection)
    await agenda.spend("acme", "2024-02-28", Spent(1, 1))
    (key,) = await connection.call("KEYS", connection.prefix.encode() + b":{agenda}:spent:*")

    assert 0 <= 8 * 86_400 - await connection.call("TTL", key) < 60


async def test_a_full_memory_takes_nothing_in_and_lets_go(server: RedisServer) -> None:
    """What adds says so and changes nothing; what concludes, drops, erases or forgets works."""
    async with opened(server.url) as agenda:
        await agenda.add(ADA, [due(id) for id in "abcd"], 1.0)
        for id in "abc":
            await agenda.intend(ADA, reflection(id, id))
        await agenda.add(ADA, [due("e")], 1.0)
        await server.command("CONFIG", "SET", "maxmemory", "1")
        for call in (
            agenda.add(ADA, [due("f")], 1.0),
            agenda.intend(ADA, reflection("d", "d")),
            agenda.claim(10.0, 60.0),
            agenda.spend("acme", "2024-02-28", Spent(1, 1)),
        ):
            with pytest.raises(StoreAway, match="out of memory"):
                await call
        assert [found.turn for found in await agenda.due(ADA, 10)] == ["d", "e"]

        await agenda.conclude(ADA, reflection("a", "a", state="applied"))
        await agenda.drop(ADA, ["d"])
        assert await agenda.erase(ADA, ["b", "e"]) == 1
        assert [one.id for one in await agenda.unfinished(ADA)] == ["c"]
        assert await agenda.forget(ADA) == 4


async def test_what_was_acknowledged_survives_the_servers_kill_9(server: RedisServer) -> None:
    """And the agenda goes on with the new one, by itself."""
    async with opened(server.url) as agenda:
        await agenda.add(ADA, [due("a"), due("b")], 1.0)
        await agenda.claim(10.0, 60.0)
        await agenda.intend(ADA, reflection("r", "a"))

        server.kill()
        with pytest.raises(StoreAway):
            await agenda.due(ADA, 1)
        server.start()

        async with asyncio.timeout(10):
            while True:
                try:
                    assert await agenda.due(ADA, 10) == [due("b")]
                    break
                except StoreAway:
                    await asyncio.sleep(0.1)
        assert await agenda.unfinished(ADA) == [reflection("r", "a")]
        assert await agenda.claim(69.0, 60.0) is None
