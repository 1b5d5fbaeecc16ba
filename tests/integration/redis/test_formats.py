"""The stamp on a Redis: new and old databases, several starts at once, and a process that others have overtaken."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import MemoryUnavailable, StoreRefused
from gateway.memory.stores.redis import Connection, RedisJournal, RedisSessions
from gateway.memory.stores.redis.formats import STEPS
from gateway.tenants.records import Rate, Tenant
from gateway.tenants.stores.redis import RedisRegistry
from gateway.tenants.stores.redis_rates import RedisLimiter
from tests.contracts.samples import ADA, placed, trace, turn
from tests.support.fleet import SECRET
from tests.support.gateway import running_gateway
from tests.support.raw import chat
from tests.support.redis_server import RedisServer, redis_server, shared
from tests.support.upstream import scripted_upstream

LATER = ("redis.call('INCR', KEYS[1] .. 'moved')",)
"""What a later Mneme might do to a database of format 1."""
JOURNALLED = "mneme:{journal}:rows:5:locallocal"


def stamp(prefix: str) -> str:
    """Its key."""
    return f"{prefix}:{{journal}}:format"


def opening(prefix: str, steps: Sequence[str] = STEPS) -> AbstractAsyncContextManager[Connection]:
    """A process of the Mneme that has these steps."""
    return Connection.open(shared().url, durability="process", prefix=prefix, steps=steps)


async def begin(prefix: str, steps: Sequence[str] = STEPS) -> None:
    """Start, and leave at once."""
    async with opening(prefix, steps):
        pass


async def filled(prefix: str) -> None:
    """A turn waits."""
    async with opening(prefix) as connection, RedisJournal.open(connection) as journal:
        await journal.append(turn("id"))


async def told(prefix: str, key: str) -> bytes:
    """What a key holds."""
    return await shared().command("GET", f"{prefix}:{{journal}}:{key}")


async def test_a_new_database_is_of_the_latest_format(prefix: str) -> None:
    """No step is taken: there is nothing to bring forward."""
    await begin(prefix, LATER)

    assert await told(prefix, "format") == b"2"
    assert await told(prefix, "moved") == b""


@pytest.mark.parametrize("stamped", [True, False], ids=["stamped", "older than stamps"])
async def test_an_old_database_is_brought_forward(prefix: str, stamped: bool) -> None:
    """Once, and what it holds stays; one without a stamp that holds turns is of format 1."""
    await filled(prefix)
    assert await told(prefix, "format") == b"1"
    if not stamped:
        await shared().command("DEL", stamp(prefix))

    for _ in range(2):
        await begin(prefix, LATER)

    assert (await told(prefix, "format"), await told(prefix, "moved")) == (b"2", b"1")
    async with opening(prefix, LATER) as connection, RedisJournal.open(connection) as journal:
        assert [found.id for found in await journal.claim(5)] == ["id"]


async def test_many_may_start_at_once(prefix: str) -> None:
    """Each step is taken once, in its order."""
    await filled(prefix)
    steps = (*LATER, "redis.call('APPEND', KEYS[1] .. 'moved', '2')", "redis.call('APPEND', KEYS[1] .. 'moved', '3')")
    await asyncio.gather(*(begin(prefix, steps) for _ in range(5)))

    assert (await told(prefix, "format"), await told(prefix, "moved")) == (b"4", b"123")


async def test_a_step_that_failed_is_begun_anew(prefix: str) -> None:
    """The stamp says that it has not been taken."""
    await filled(prefix)
    with pytest.raises(MemoryUnavailable, match="refuses"):
        await begin(prefix, ("redis.call('INCR', KEYS[1] .. 'moved') error('cut')",))
    assert await told(prefix, "format") == b"1"

    await begin(prefix, LATER)
    assert (await told(prefix, "format"), await told(prefix, "moved")) == (b"2", b"2")


@pytest.mark.parametrize("found", ["2", "99", "what a later Mneme calls it"])
async def test_a_newer_database_is_refused(prefix: str, found: str) -> None:
    """With the way out, and nothing is written."""
    await shared().command("SET", stamp(prefix), found)
    with pytest.raises(StoreRefused, match=r"newer Mneme; this one reads format 1: upgrade it, or restore"):
        await begin(prefix)

    assert await shared().command("--scan", "--pattern", f"{prefix}*") == stamp(prefix).encode()


async def test_a_full_database_without_a_stamp_is_opened(prefix: str) -> None:
    """It is stamped when there is room."""
    with redis_server() as server:
        await server.command("CONFIG", "SET", "maxmemory", "1")
        async with Connection.open(server.url, durability="process"):
            assert await server.command("GET", stamp("mneme")) == b""
        await server.command("CONFIG", "SET", "maxmemory", "0")
        async with Connection.open(server.url, durability="process"):
            assert await server.command("GET", stamp("mneme")) == b"1"


Deed = Callable[[RedisJournal], Awaitable[Any]]
WRITES: dict[str, Deed] = {
    "append": lambda journal: journal.append(turn("late")),
    "claim": lambda journal: journal.claim(5),
    "erase": lambda journal: journal.erase(ADA, ["id"]),
    "hold": lambda journal: journal.hold(ADA).__aenter__(),
    "lag": lambda journal: journal.lag(),
}


@pytest.mark.parametrize("deed", WRITES)
@pytest.mark.parametrize("syncs", [False, True], ids=["process", "power"])
async def test_a_process_that_was_overtaken_is_refused(server: RedisServer, deed: str, syncs: bool) -> None:
    """From the moment on that a newer Mneme has migrated, whatever it was about to do: it would damage what lies there
    now. The newer one goes on."""
    async with Connection.open(server.url, durability="process") as old, RedisJournal.open(old) as journal:
        await journal.append(turn("id"))
        old._syncs = syncs  # as where the server can be asked whether its disk has something, which is another way
        async with (
            Connection.open(server.url, durability="process", steps=LATER) as new,
            RedisJournal.open(new) as newer,
        ):
            with pytest.raises(StoreRefused, match="newer Mneme"):
                await WRITES[deed](journal)
            assert [found.id for found in await newer.claim(5)] == ["id"]
            assert await newer.append(turn("new")) == 2


@pytest.mark.parametrize("part", ["sessions", "registry", "limiter"])
async def test_each_part_is_refused_once_its_keys_are_stamped(connection: Connection, part: str) -> None:
    """A step that writes a tenant's keys anew, or the registry's, stamps them, and the journal's at its end."""
    sessions, registry, limiter = (
        RedisSessions(connection, trace_limit=10),
        RedisRegistry(connection),
        RedisLimiter(connection),
    )
    deeds: dict[str, list[Callable[[], Awaitable[Any]]]] = {
        "sessions": [lambda: sessions.place(ADA, "chain", placed("t")), lambda: sessions.trace(trace("id"))],
        "registry": [lambda: registry.keep_tenant(Tenant("acme")), lambda: registry.find(b"digest")],
        "limiter": [lambda: limiter.take("acme", [Rate("r", 5, 1)])],
    }
    for deed in deeds[part]:
        await deed()
    keys = (await shared().command("--scan", "--pattern", f"{connection.prefix}:*")).decode().split()
    for base in {key.partition("}:")[0] + "}:" for key in keys}:
        await shared().command("SET", f"{base}format", "2")

    for deed in deeds[part]:
        with pytest.raises(StoreRefused, match="newer Mneme"):
            await deed()


async def test_an_overtaken_gateway_answers_without_memory(server: RedisServer, tmp_path: Path) -> None:
    """Answers go on, and what they lack is counted; nothing is written into the journal."""
    async with (
        scripted_upstream() as worker,
        running_gateway(tmp_path / "data", worker.url, redis_url=server.url, secret=SECRET) as gateway,
        gateway.client() as client,
    ):
        assert (await chat(gateway.port, "Before.")).status == 200
        await gateway.indexed()
        async with Connection.open(server.url, durability="process", steps=LATER):
            rows = await server.command("HLEN", JOURNALLED)

        answer = await chat(gateway.port, "After.")

        assert (answer.status, worker.received[-1].body.count(b"After."), rows) == (200, 1, b"1")
        assert await server.command("HLEN", JOURNALLED) == rows
        assert 'mneme_skipped_total{reason="journal-unavailable"} 1.0' in (await client.get("/metrics")).text
