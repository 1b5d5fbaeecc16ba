"""A real redis-server as doctor sees it: what would lose turns, what lies there, what waits; and nothing is written."""

import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from gateway.doctor.finding import Finding
from gateway.doctor.redis import look
from gateway.memory.stores.redis import Connection, RedisJournal
from tests.contracts.samples import turn
from tests.support.findings import states, told
from tests.support.redis_server import RedisServer, redis_server

CANARY = "hunter2"
STAMP = "mneme:{journal}:format"


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """One that the test may harm."""
    with redis_server() as running:
        yield running


@asynccontextmanager
async def journal(server: RedisServer, ago: float = 0.0) -> AsyncIterator[RedisJournal]:
    """A gateway's, by whose clock turns are told so many seconds ago."""
    async with (
        Connection.open(server.url, durability="process") as connection,
        RedisJournal.open(connection, clock=lambda: time.time() - ago) as opened,
    ):
        yield opened


async def changes(server: RedisServer) -> bytes:
    """How much was ever written."""
    (line,) = re.findall(rb"rdb_changes_since_last_save:(\d+)", await server.command("INFO", "persistence"))
    return bytes(line)


async def found(server: RedisServer, durability: str = "process") -> list[Finding]:
    """By doctor."""
    return await look(server.url, durability)


async def test_a_good_server_is_fine_and_stays_as_it_is(server: RedisServer) -> None:
    """Before anybody was there, and with turns in it."""
    assert states(await found(server)) == {"ok"}
    assert "holds nothing of Mneme yet" in told(await found(server), "redis format")
    assert await server.command("DBSIZE") == b"0"
    async with journal(server) as opened:
        await opened.append(turn("t"))
    before = await changes(server)

    assert states(await found(server)) == {"ok"}
    assert "1 turns wait" in told(await found(server), "journal")
    assert told(await found(server), "redis format") == "ok: format 1 → "
    assert await changes(server) == before


@pytest.mark.parametrize(
    ("options", "durability", "name", "said"),
    [
        ({"maxmemory-policy": "allkeys-lru"}, "process", "redis eviction", "fail: .*allkeys-lru.*Set .*noeviction"),
        ({"appendonly": "no"}, "process", "redis persistence", "fail: .*Set appendonly yes"),
        ({"appendfsync": "no"}, "process", "redis persistence", "warn: .*appendfsync no.*set appendfsync always"),
        ({"appendfsync": "everysec"}, "process", "redis persistence", "ok: .*last second or two"),
        ({"appendfsync": "always"}, "power", "redis persistence", "ok: "),
        ({"appendfsync": "everysec"}, "power", "redis persistence", "fail: .*needs appendfsync always|ok: .*WAITAOF"),
    ],
)
async def test_a_server_that_would_lose_turns_is_told(
    options: dict[str, str], durability: str, name: str, said: str
) -> None:
    """With the setting to change; all else about it is found too."""
    with redis_server(**options) as server:
        findings = await found(server, durability)

    assert re.match(said, told(findings, name))
    assert len(findings) == 7


async def test_a_server_that_does_not_tell_its_settings_is_taken_at_its_worst(server: RedisServer) -> None:
    """As a gateway does."""
    await server.command("ACL", "SETUSER", "default", "-config")

    assert "not told" in told(await found(server), "redis persistence")


@pytest.mark.parametrize(("share", "state"), [(0.5, "ok"), (0.9, "warn"), (1.5, "fail")])
async def test_a_memory_that_fills_is_told(server: RedisServer, share: float, state: str) -> None:
    """Before it is full."""
    used = int(re.findall(rb"used_memory:(\d+)", await server.command("INFO", "memory"))[0])
    await server.command("CONFIG", "SET", "maxmemory", str(int(used / share)))

    assert told(await found(server), "redis memory").startswith(state)


async def test_a_server_that_is_away_is_one_failure(server: RedisServer) -> None:
    """Its address is named without a password."""
    server.stop()
    (away,) = await look(f"redis://:{CANARY}@127.0.0.1:1/0", "process")
    assert (away.name, away.state) == ("redis", "fail")
    assert "127.0.0.1:1/0 does not answer" in away.found
    assert CANARY not in str(away)
    (wrong,) = await look(f"http://user:{CANARY}@127.0.0.1", "process")
    assert "redis://" in wrong.found and CANARY not in str(wrong)


async def test_a_silent_server_is_given_up(server: RedisServer) -> None:
    """In time."""
    server.pause()
    begun = time.monotonic()
    assert states(await found(server)) == {"fail"}
    assert time.monotonic() - begun < 8


async def test_a_password_that_is_not_taken_is_told(server: RedisServer) -> None:
    """Not which one it was."""
    await server.command("CONFIG", "SET", "requirepass", "right")
    for url in (server.url, f"unix://:{CANARY}@{server.socket}"):
        (refused,) = await look(url, "process")
        assert "does not let us in" in refused.found and CANARY not in str(refused)

    assert states(await look(f"unix://:right@{server.socket}", "process")) == {"ok"}


@pytest.mark.parametrize(("stamp", "said"), [("2", "fail: .*newer Mneme; this one reads format 1"), ("x", "fail: ")])
async def test_a_newer_format_fails(server: RedisServer, stamp: str, said: str) -> None:
    """With the way out."""
    await server.command("SET", STAMP, stamp)

    assert re.match(said, told(await found(server), "redis format"))


async def test_a_database_older_than_stamps_is_told(server: RedisServer) -> None:
    """It is of format 1."""
    async with journal(server):
        pass
    await server.command("DEL", STAMP)

    assert told(await found(server), "redis format").startswith("ok: format 1, not stamped yet")


async def test_turns_that_nobody_indexes_are_told(server: RedisServer) -> None:
    """And dead letters."""
    async with journal(server, ago=3600) as opened:
        await opened.append(turn("dead"))
        (claimed,) = await opened.claim(1)
        await opened.fail(claimed, "why", attempts=1, delay=0)
        assert told(await found(server), "journal").startswith("warn: 0 turns wait; 1 dead letters")
        await opened.append(turn("late"))

    assert re.match(
        "warn: 1 turns wait, the oldest for 36.*1 dead.*Start a writer", told(await found(server), "journal")
    )


@pytest.mark.parametrize(("apart", "state"), [(0.0, "ok"), (2.0, "warn"), (-60.0, "fail")])
async def test_clocks_that_differ_are_told(server: RedisServer, apart: float, state: str) -> None:
    """Either way."""
    findings = await look(server.url, "process", clock=lambda: time.time() + apart)

    assert told(findings, "clock").startswith(state)
