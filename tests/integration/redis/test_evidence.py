"""Who has turns in a Redis that an older Mneme filled, or still fills; and how much is read to see what is old."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.memory.records import Kept, Scope
from gateway.memory.stores.redis import Connection, RedisJournal, RedisSessions, keys
from tests.contracts.samples import ADA, BOB, LOOKALIKES, placed, trace, turn
from tests.integration.redis.conftest import Writers
from tests.support.redis_server import shared

GLOBS = "[a-z]*?\\"


@pytest.fixture
async def globs(prefix: str) -> AsyncIterator[Connection]:
    """Keys that begin with what patterns are made of."""
    async with Connection.open(shared().url, durability="process", prefix=prefix + GLOBS) as opened:
        yield opened


async def unlist(connection: Connection) -> None:
    """As an older Mneme left it."""
    base = keys.journal(connection.prefix)
    await connection.call("DEL", base + b"scopes", base + b"oldest", base + b"listed")


async def test_users_from_before_the_list_are_found(globs: Connection, connection: Connection) -> None:
    """All of them, at the first opening, whatever the keys begin with; nobody of another installation."""
    async with RedisJournal.open(connection) as journal:
        await journal.append(turn("id", Scope("elsewhere", "ada")))
    async with RedisJournal.open(globs) as journal:
        for scope in LOOKALIKES:
            await journal.append(turn("id", scope))
        await journal.done(await journal.claim(100))
    await unlist(globs)

    async with RedisJournal.open(globs) as journal:
        found = (await journal.scopes(limit=100)).items
    assert sorted(found, key=repr) == sorted(LOOKALIKES, key=repr)


async def test_they_are_looked_for_once(connection: Connection) -> None:
    """A second opening does not look again, and a fresh database is not looked through at all."""
    base = keys.journal(connection.prefix)
    async with RedisJournal.open(connection) as journal:
        assert await connection.call("EXISTS", base + b"listed")
        await journal.append(turn("id"))
    await connection.call("DEL", base + b"scopes")

    async with RedisJournal.open(connection) as journal:
        assert (await journal.scopes()).items == ()


async def test_a_user_of_an_older_gateway_is_listed_once_a_writer_meets_them(
    connection: Connection, writers: Writers
) -> None:
    """While an installation is upgraded one process at a time."""
    async with writers() as journal:
        await journal.append(turn("id"))
        await connection.call("DEL", keys.journal(connection.prefix) + b"scopes")
        await journal.claim(10)

        assert (await journal.scopes()).items == (ADA,)


async def test_users_with_placements_from_before_the_list_are_found(globs: Connection, connection: Connection) -> None:
    """Or with traces; once somebody asks, each in their own tenant."""
    theirs = RedisSessions(connection, trace_limit=9)
    await theirs.place(ADA, "chain", placed("t"))
    sessions = RedisSessions(globs, trace_limit=99)
    for number, scope in enumerate(LOOKALIKES):
        if number % 2:
            await sessions.place(scope, "chain", placed("t"))
        else:
            await sessions.trace(trace(f"trace {number}", scope))
    tenants = {scope.tenant for scope in LOOKALIKES}
    for tenant in tenants:
        await globs.call("DEL", keys.tenant(globs.prefix, tenant) + b"users")

    told = {tenant: (await sessions.users(tenant, limit=100)).items for tenant in tenants}
    assert {Scope(tenant, user) for tenant, users in told.items() for user in users} == {*LOOKALIKES}
    assert (await sessions.users("acme")).items == ()
    await sessions.forget(LOOKALIKES[1])
    assert LOOKALIKES[1].user not in (await sessions.users(LOOKALIKES[1].tenant, limit=100)).items


async def test_old_turns_from_before_the_list_expire(connection: Connection) -> None:
    """Nobody knows when their users began; so they are looked at."""
    async with RedisJournal.open(connection) as journal:
        for id, at in {"a": 1.0, "b": 9.0}.items():
            await journal.append(turn(id, at=at))
        await journal.done(await journal.claim(10))
    await unlist(connection)

    async with RedisJournal.open(connection) as journal:
        await journal.append(turn("c", at=0.5))
        await journal.done(await journal.claim(10))
        assert await journal.expire(ADA, 5.0) == 2


async def test_who_has_nothing_old_costs_one_look(connection: Connection, writers: Writers) -> None:
    """Turns are read only where one of them may be old enough."""
    async with writers() as journal:
        for number in range(50):
            await journal.append(turn(f"t{number}", at=100.0 + number))
        await journal.done(await journal.claim(100))
        assert await journal.expire(ADA, 120.0) == 20
        before = await _scanned(connection)

        assert await journal.expire(ADA, 120.0) == 0
        assert await journal.expire(BOB, 120.0) == 0
        assert await _scanned(connection) - before <= 1  # of somebody without turns nothing is known


async def test_a_forgotten_user_is_named_nowhere(connection: Connection, writers: Writers) -> None:
    """Neither in the list nor beside it, though turns were put back and expired."""
    async with writers() as journal:
        await journal.put_back(ADA, [Kept(turn(f"t{n}", seq=n, at=float(n)), "done") for n in range(1, 9)])
        await journal.expire(ADA, 4.0)
        await journal.forget(ADA)

    base = keys.journal(connection.prefix)
    for key in (b"scopes", b"oldest"):
        assert await connection.call("EXISTS", base + key) == 0


async def _scanned(connection: Connection) -> int:
    told: Any = await connection.call("INFO", "commandstats")
    return int(told.get("cmdstat_hscan", {}).get("calls", 0))
