"""What is done to the fleet while the crowd speaks: a function per harm, each over when all runs again. No verdict."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from itertools import count

from tests.e2e.worker import Worker
from tests.prove.crowd import CUT, GONE
from tests.support.fleet import Fleet
from tests.support.upstream import Received, Reply

Act = Callable[[Fleet, Worker, float], Awaitable[None]]
"""The harm; the last argument is how long it may last, in seconds."""
_SLOW = 0.1


@dataclass(frozen=True)
class Scenario:
    """`excused` are the ends of answers that are nobody's memory's fault: their gateway or their worker was gone."""

    title: str
    act: Act
    excused: frozenset[str] = frozenset()


async def nothing(_fleet: Fleet, _worker: Worker, seconds: float) -> None:
    """What it is without harm."""
    await asyncio.sleep(seconds)


async def kill_a_gateway(fleet: Fleet, _worker: Worker, seconds: float) -> None:
    """And start it again."""
    await fleet.gateways[0].kill()
    await asyncio.sleep(seconds)
    await fleet.gateways[0].start()


async def terminate_a_gateway(fleet: Fleet, worker: Worker, seconds: float) -> None:
    """While every stream takes its time."""
    worker.pause = _SLOW
    await asyncio.sleep(seconds / 2)
    fleet.gateways[1].signal(signal.SIGTERM)
    assert await fleet.gateways[1].ended() == 0
    await fleet.gateways[1].start()
    worker.pause = 0.0


async def kill_a_writer(fleet: Fleet, _worker: Worker, seconds: float) -> None:
    """And start it again."""
    await fleet.writers[0].kill()
    await asyncio.sleep(seconds)
    await fleet.writers[0].start()


async def kill_both_writers(fleet: Fleet, _worker: Worker, seconds: float) -> None:
    """Nobody indexes for a while."""
    await asyncio.gather(*(writer.kill() for writer in fleet.writers))
    await asyncio.sleep(seconds)
    await asyncio.gather(*(writer.start() for writer in fleet.writers))


async def silence_redis(fleet: Fleet, _worker: Worker, seconds: float) -> None:
    """It neither answers nor closes a connection."""
    fleet.redis.pause()
    await asyncio.sleep(seconds)
    fleet.redis.resume()


async def kill_redis(fleet: Fleet, _worker: Worker, seconds: float) -> None:
    """What it had acknowledged is in its append-only file."""
    fleet.redis.kill()
    await asyncio.sleep(seconds)
    fleet.redis.start()


async def fill_redis(fleet: Fleet, _worker: Worker, seconds: float) -> None:
    """It refuses what would take more memory."""
    await fleet.redis.command("CONFIG", "SET", "maxmemory", "1")
    await asyncio.sleep(seconds)
    await fleet.redis.command("CONFIG", "SET", "maxmemory", "0")


async def silence_the_store(fleet: Fleet, _worker: Worker, seconds: float) -> None:
    """It takes calls and answers none."""
    fleet.qdrant.signal(signal.SIGSTOP)
    await asyncio.sleep(seconds)
    fleet.qdrant.signal(signal.SIGCONT)


async def slow_the_store(fleet: Fleet, _worker: Worker, seconds: float) -> None:
    """It runs a sixth of the time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        fleet.qdrant.signal(signal.SIGSTOP)
        await asyncio.sleep(1.0)
        fleet.qdrant.signal(signal.SIGCONT)
        await asyncio.sleep(0.2)


async def kill_the_store(fleet: Fleet, _worker: Worker, seconds: float) -> None:
    """And start it over its files."""
    await fleet.qdrant.kill()
    await asyncio.sleep(seconds)
    await fleet.qdrant.start()


async def cut_the_worker(_fleet: Fleet, worker: Worker, seconds: float) -> None:
    """Every third answer breaks off in its middle."""
    numbers, whole = count(), worker.answer

    def answer(received: Received) -> Reply:
        reply = whole(received)
        if next(numbers) % 3:
            return reply
        return replace(reply, chunks=_half(reply), chunked=True, drop=True)

    worker.upstream.answering = answer
    await asyncio.sleep(seconds)
    worker.upstream.answering = whole


def _half(reply: Reply) -> tuple[bytes, ...]:
    if len(reply.chunks) > 1:
        return tuple(reply.chunks[: len(reply.chunks) // 2])
    return (reply.chunks[0][: len(reply.chunks[0]) // 2],)


_GATEWAY_GONE, _WORKER_GONE = frozenset((GONE,)), frozenset((GONE, CUT, "502"))
SCENARIOS = {
    "calm": Scenario("nothing is harmed", nothing),
    "kill-gateway": Scenario("kill -9 a gateway", kill_a_gateway, _GATEWAY_GONE),
    "term-gateway": Scenario("SIGTERM a gateway during streams", terminate_a_gateway, _GATEWAY_GONE),
    "kill-writer": Scenario("kill -9 a writer", kill_a_writer),
    "kill-writers": Scenario("kill -9 both writers", kill_both_writers),
    "stop-redis": Scenario("Redis stopped", silence_redis),
    "kill-redis": Scenario("kill -9 Redis", kill_redis),
    "fill-redis": Scenario("Redis's memory full", fill_redis),
    "stop-store": Scenario("the store stopped", silence_the_store),
    "slow-store": Scenario("the store slow", slow_the_store),
    "kill-store": Scenario("kill -9 the store", kill_the_store),
    "cut-worker": Scenario("the worker cut in mid-answer", cut_the_worker, _WORKER_GONE),
}
QUICK = ("kill-gateway", "kill-redis", "cut-worker")
