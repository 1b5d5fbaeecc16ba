"""A record that somebody damaged in Redis costs itself and nothing else."""

from gateway.memory.records import Turn
from gateway.memory.stores.redis import Connection, RedisSessions
from gateway.memory.stores.redis import keys as names
from tests.contracts.samples import ADA, placed, trace, turn
from tests.integration.redis.conftest import Writers


async def spoil(connection: Connection, key: bytes, field: bytes, kept: int) -> None:
    """Cut the hash's field behind so many bytes."""
    stored = await connection.call("HGET", key, field)
    await connection.call("HSET", key, field, stored[:kept])


async def test_a_damaged_turn_is_a_dead_letter(writers: Writers, connection: Connection) -> None:
    """The others are indexed; it says whose it was, and can be erased."""
    async with writers() as journal:
        for id in "abc":
            await journal.append(turn(id))
        bodies = names.journal(connection.prefix) + b"bodies:" + names.who(ADA)
        await spoil(connection, bodies, b"a", 20)

        assert [found.id for found in await journal.claim(1)] == ["b"]
        assert [found.id for found in await journal.claim(10)] == ["b", "c"]
        (letter,) = (await journal.dead()).items
        assert letter.turn == Turn("a", ADA, "", "", 0.0, "", "", seq=1)
        assert "damaged" in letter.error
        assert [found.id for found in await journal.turns(ADA, ["a", "b"])] == ["a", "b"]
        assert [found.id for found in await journal.pending(ADA)] == ["c", "b"]
        assert await journal.erase(ADA, ["a"]) == 1


async def test_a_damaged_placement_or_trace_is_left_out(connection: Connection) -> None:
    """And goes with the next erasure, whatever that is of: nobody knows what text it holds."""
    sessions = RedisSessions(connection, trace_limit=10)
    for id in ("spoilt", "whole"):
        await sessions.place(ADA, id, placed(id))
        await sessions.trace(trace(id, ADA, id))
    base = names.tenant(connection.prefix, ADA.tenant)
    await spoil(connection, base + b"placed:ada", b"spoilt", 20)
    await spoil(connection, base + b"trace", b"spoilt", 40)

    assert [*await sessions.placed(ADA, ["spoilt", "whole"])] == ["whole"]
    assert [found.turn for found in (await sessions.placements(ADA, "s")).items] == ["whole"]
    assert [found.id for found in await sessions.traces(ADA)] == ["whole"]
    assert await sessions.count(ADA) == 4
    await sessions.erase_turns(ADA, ["nobody"])
    assert await sessions.count(ADA) == 2
