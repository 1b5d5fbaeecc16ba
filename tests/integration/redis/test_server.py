"""A Redis that would lose turns is refused; one that is full, killed, stopped or silent costs no turn and no answer."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.errors import MemoryUnavailable, SettingsRefused, StoreAway, StoreRefused
from gateway.memory.records import Scope
from gateway.memory.stores.redis import Connection, RedisJournal, RedisSessions
from tests.contracts.samples import ADA, BOB, placed, trace, turn
from tests.support.redis_server import RedisServer, redis_server

SECRET = "canary-7f3a"


@asynccontextmanager
async def opened(server: RedisServer, patience: float = 1.0) -> AsyncIterator[tuple[RedisJournal, RedisSessions]]:
    """Both stores, as one process has them."""
    async with (
        Connection.open(server.url, durability="process", patience=patience) as connection,
        RedisJournal.open(connection) as journal,
    ):
        yield journal, RedisSessions(connection, trace_limit=10)


def files_with(server: RedisServer, text: str) -> list[str]:
    """Files of the server that hold these bytes."""
    found = [path for path in server.folder.rglob("*") if path.is_file()]
    return [path.name for path in found if text.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    ("setting", "value", "named"),
    [
        ("appendonly", "no", "appendonly yes"),
        ("maxmemory-policy", "allkeys-lru", "maxmemory-policy noeviction"),
        ("maxmemory-policy", "volatile-ttl", "maxmemory-policy noeviction"),
    ],
)
async def test_a_server_that_would_lose_turns_is_refused(setting: str, value: str, named: str) -> None:
    """With the setting to change."""
    with redis_server(**{setting: value}) as server, pytest.raises(StoreRefused, match=named):
        async with Connection.open(server.url, durability="process"):
            pass


async def test_power_is_promised_only_where_the_disk_is_asked() -> None:
    """A server that syncs now and then, and cannot say when it has, is refused; one that can say is believed."""
    with redis_server(appendfsync="everysec") as server:
        knows = b"WAITAOF" in (await server.command("COMMAND", "LIST", "FILTERBY", "PATTERN", "WAITAOF")).upper()
        try:
            async with (
                Connection.open(server.url, durability="power") as connection,
                RedisJournal.open(connection) as journal,
            ):
                assert knows and await journal.append(turn("id")) == 1
        except StoreRefused as refused:
            assert not knows and "appendfsync always" in refused.message


async def test_power_is_promised_where_every_write_is_synced(server: RedisServer) -> None:
    """A reply then means that the disk has it."""
    async with (
        Connection.open(server.url, durability="power") as connection,
        RedisJournal.open(connection) as journal,
    ):
        assert await journal.append(turn("id")) == 1


async def test_no_server_is_said_at_once(server: RedisServer) -> None:
    """And a wrong URL is a wrong setting."""
    server.stop()
    with pytest.raises(StoreAway):
        async with Connection.open(server.url, durability="process"):
            pass
    with pytest.raises(SettingsRefused, match="redis://") as refused:
        async with Connection.open(f"http://user:{SECRET}@localhost", durability="process"):
            pass
    assert SECRET not in str(refused.value)


async def test_a_full_memory_is_unavailable(server: RedisServer) -> None:
    """What writes says so, without the text; forgetting works, and a turn that waited is written then."""
    async with opened(server) as (journal, sessions):
        await journal.append(turn("kept"))
        await sessions.place(ADA, "chain", placed("t", "m"))
        await sessions.trace(trace("id", ADA, "t", "m"))
        await server.command("CONFIG", "SET", "maxmemory", "1")
        waiting = asyncio.create_task(journal.append(turn("waits", BOB, user_text=SECRET)))
        for call in (
            sessions.place(ADA, "other", placed("t", SECRET)),
            sessions.trace(trace("other", ADA, "t", SECRET)),
        ):
            with pytest.raises(MemoryUnavailable, match="out of memory") as failed:
                await call
            assert SECRET not in str(failed.value)

        assert [found.id for found in await journal.pending(ADA)] == ["kept"]
        await sessions.erase_turns(ADA, ["m"])
        assert (await sessions.placed(ADA, ["chain"]))["chain"].text == ""
        assert (await sessions.traces(ADA))[0].injected == ""
        await journal.done(await journal.claim(10))
        assert await journal.forget(ADA) == 1
        assert await sessions.forget(ADA) == 2

        assert not waiting.done()
        await server.command("CONFIG", "SET", "maxmemory", "0")
        async with asyncio.timeout(5):
            await waiting
        assert [found.id for found in await journal.pending(BOB)] == ["waits"]


async def test_what_was_acknowledged_survives_the_servers_kill_9(server: RedisServer) -> None:
    """And the stores go on with the new one, by themselves."""
    async with opened(server) as (journal, sessions):
        await asyncio.gather(*(journal.append(turn(str(number))) for number in range(50)))
        await sessions.place(ADA, "chain", placed("t", "m"))
        claimed = await journal.claim(10)
        await journal.done(claimed[:5])

        server.kill()
        server.start()

        assert (await journal.lag()).pending == 45
        assert await sessions.placed(ADA, ["chain"]) == {"chain": placed("t", "m")}
        assert await journal.claim(5) == claimed[5:]
        assert await journal.append(turn("new")) == 51


async def test_turns_wait_for_a_server_that_is_away(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """In order, also those that nobody waits for any more; the others' numbers come when it is back."""
    async with opened(server) as (journal, _):
        server.kill()
        given_up = asyncio.create_task(journal.append(turn("given up", user_text=SECRET)))
        await asyncio.sleep(0.1)
        given_up.cancel()
        waiting = [asyncio.create_task(journal.append(turn(str(number)))) for number in range(100)]
        await asyncio.sleep(0.3)
        assert not any(task.done() for task in waiting)

        server.start()

        assert await asyncio.gather(*waiting) == [*range(2, 102)]
        assert [found.id for found in await journal.claim(2)] == ["given up", "0"]
    assert "turns wait for it" in caplog.text
    assert SECRET not in caplog.text


async def test_an_end_without_a_server_says_what_is_lost(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """Closing does not wait for it; those who wait hear it, and the log counts the others."""
    async with opened(server) as (journal, _):
        server.kill()
        heard, unheard = [asyncio.create_task(journal.append(turn(id, user_text=SECRET))) for id in ("a", "b")]
        await asyncio.sleep(0.1)
        unheard.cancel()
    with pytest.raises(StoreAway):
        await heard
    with pytest.raises(MemoryUnavailable):
        await journal.append(turn("late"))
    (lost,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert lost.getMessage().startswith("1 turns")
    assert SECRET not in caplog.text


async def test_a_silent_server_is_waited_for_once(server: RedisServer) -> None:
    """Then calls fail at once for a moment: an answer makes several of them."""
    async with opened(server, patience=0.3) as (journal, sessions):
        appended = await journal.append(turn("id"))
        server.pause()
        started = time.monotonic()
        for _ in range(20):
            with pytest.raises(StoreAway):
                await sessions.placed(ADA, ["chain"])
        assert 0.2 < time.monotonic() - started < 0.9

        server.resume()
        async with asyncio.timeout(10):
            assert await journal.append(turn("id")) == appended
            assert await sessions.placed(ADA, ["chain"]) == {}


async def test_forgotten_text_is_in_no_file(caplog: pytest.LogCaptureFixture) -> None:
    """Turns, placements and traces, also when several forget at once; the others' text stays."""
    with redis_server(rdbcompression="no") as server:
        async with opened(server) as (journal, sessions):
            for scope, text in ((ADA, SECRET), (BOB, "bob's words")):
                await journal.append(turn("id", scope, user_text=text))
                await sessions.place(scope, "chain", placed("t", text))
                await sessions.trace(trace(f"of {scope.user}", scope, "t", text))
            assert files_with(server, SECRET)

            strangers = [journal.forget(Scope("acme", f"stranger {number}")) for number in range(3)]
            assert await asyncio.gather(journal.forget(ADA), sessions.forget(ADA), *strangers) == [1, 2, 0, 0, 0]

            assert caplog.records == []
            assert files_with(server, SECRET) == []
            assert files_with(server, "bob's words")
            assert not [key for key in (await server.command("--scan")).split(b"\n") if key.endswith(b"ada")]


async def test_who_was_forgotten_is_in_no_file_either() -> None:
    """Not even because they were held meanwhile, or because requests on their way are barred."""
    who = Scope("acme", "quuxerella")
    with redis_server(rdbcompression="no") as server:
        async with opened(server) as (journal, sessions):
            await journal.append(turn("id", who))
            await sessions.place(who, "chain", placed("t", "words"))
            assert files_with(server, who.user)

            async with journal.hold(who):
                await journal.forget(who)
                await sessions.forget(who)

            assert files_with(server, who.user) == []


async def test_a_cancelled_call_ends_and_mixes_up_nothing(server: RedisServer) -> None:
    """Whenever it comes: a deadline that a call swallows is no deadline, a reply left on a connection is another's."""
    dice = random.Random(1)
    async with opened(server) as (journal, _):
        for number in range(8):
            await journal.append(turn(str(number)))

        async def ask(number: int) -> None:
            while True:
                (found,) = await journal.turns(ADA, [str(number)])
                assert found.id == str(number)

        for _ in range(150):
            asking = [asyncio.create_task(ask(number)) for number in range(8)]
            await asyncio.sleep(dice.random() * 0.004)
            for task in asking:
                task.cancel()
            done, late = await asyncio.wait(asking, timeout=5)
            assert not late
            assert all(task.cancelled() for task in done)


async def test_a_refused_command_is_not_quoted(server: RedisServer) -> None:
    """Redis's own words would hold the key, and so an id."""
    async with opened(server) as (journal, sessions):
        await sessions.place(ADA, "chain", placed("t"))
        await server.command("ACL", "SETUSER", "default", "-hmget", "-@scripting")
        for call in (sessions.placed(ADA, [SECRET]), journal.append(turn("id", user_text=SECRET))):
            with pytest.raises(MemoryUnavailable, match="NoPermission") as failed:
                await call
            assert "ada" not in str(failed.value) and SECRET not in str(failed.value)
            assert failed.value.__cause__ is None
        await server.command("ACL", "SETUSER", "default", "+@all")
