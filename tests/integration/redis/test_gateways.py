"""Several gateways over the same Redis sessions: what one places or erases, the others see."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gateway.memory.stores.redis import Connection, RedisSessions
from tests.contracts.samples import ADA, placed, trace
from tests.support.model import Clock
from tests.support.redis_server import shared


@pytest.fixture
async def pair(prefix: str) -> AsyncIterator[tuple[RedisSessions, RedisSessions]]:
    """Two gateways with the same clock."""
    clock = Clock()
    async with (
        Connection.open(shared().url, durability="process", prefix=prefix) as one,
        Connection.open(shared().url, durability="process", prefix=prefix) as other,
    ):
        yield (
            RedisSessions(one, trace_limit=10, clock=clock),
            RedisSessions(other, trace_limit=10, clock=clock),
        )


async def test_a_placement_is_seen_by_the_other(pair: tuple[RedisSessions, RedisSessions]) -> None:
    """At once, also where it had looked before."""
    one, other = pair
    assert await other.placed(ADA, ["chain"]) == {}

    await one.place(ADA, "chain", placed("t", "m"))
    assert await other.placed(ADA, ["chain"]) == {"chain": placed("t", "m")}

    await one.erase_turns(ADA, ["m"])
    assert await other.placed(ADA, ["chain"]) == {"chain": placed("t")}


async def test_what_one_erased_the_other_does_not_place(pair: tuple[RedisSessions, RedisSessions]) -> None:
    """A request that had recalled it may still be on its way; later ones are not held to it."""
    one, other = pair
    assert isinstance(one._clock, Clock)
    await one.erase_turns(ADA, ["gone"])

    await other.place(ADA, "chain", placed("t", "gone"))
    await other.place(ADA, "empty", placed("t"))

    assert await one.placed(ADA, ["chain", "empty"]) == {"chain": placed("t"), "empty": placed("t")}
    one._clock.now += 60
    await other.place(ADA, "chain", placed("t", "gone"))
    assert await one.placed(ADA, ["chain"]) == {"chain": placed("t", "gone")}


async def test_what_was_under_way_when_one_forgot_the_other_does_not_keep(
    pair: tuple[RedisSessions, RedisSessions],
) -> None:
    """Neither its place nor its trace, whenever it comes; what begins later is kept."""
    one, other = pair
    began = time.monotonic()
    await one.forget(ADA)
    await other.place(ADA, "chain", placed("t"), began)
    await other.trace(trace("id", ADA), began)
    assert await one.count(ADA) == 0

    await other.place(ADA, "chain", placed("t"), time.monotonic())

    assert await one.count(ADA) == 1


async def test_a_trace_that_another_erased_is_not_completed(pair: tuple[RedisSessions, RedisSessions]) -> None:
    """Neither whole nor in part."""
    one, other = pair
    for id in ("whole", "part"):
        await one.trace(trace(id, ADA, id, "gone", "stays"))
    await other.erase_turns(ADA, ["whole", "gone"])

    for id in ("whole", "part"):
        await one.trace(replace(trace(id, ADA, id, "gone", "stays"), tokens=99))

    (left,) = await other.traces(ADA)
    assert (left.id, left.tokens, [hit.memory.id for hit in left.hits]) == ("part", 99, ["stays"])
    assert "gone" not in left.injected


async def test_gateways_keep_the_trace_limit_together(pair: tuple[RedisSessions, RedisSessions]) -> None:
    """However many there are; and of what went nothing is left."""
    one, other = pair
    await asyncio.gather(*(store.trace(trace(f"{n} {id(store)}")) for n in range(20) for store in pair))

    assert len(await one.traces(ADA, limit=100)) == 10
    assert await other.count(ADA) == 10
