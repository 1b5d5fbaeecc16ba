"""The part `lag`: how far indexing is behind while turns come at a steady rate, with one writer and with two."""

import asyncio
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.bench import targets
from tests.bench.load import Aim, Job, Line, request
from tests.bench.measure import drained
from tests.bench_fleet.costs import cpu_of, recalls
from tests.bench_fleet.lanes import gateways
from tests.bench_fleet.stack import pid, state
from tests.support.fleet import Process

_BUCKET = re.compile(r'^mneme_index_lag_seconds_bucket\{le="([^"]+)"\} (\S+)$', re.MULTILINE)
GOAL = 2.0
_WARM, _PATIENCE = 3.0, 60.0

Buckets = Mapping[float, float]
"""Cumulative counts by upper edge in seconds, as Prometheus has them."""


@dataclass(frozen=True)
class Lag:
    """`asked` for turns a second, `told` ones came; of so many `turns` that were indexed the share `within` the goal,
    and quantiles in seconds, straight lines being drawn through each bucket. `recall` in milliseconds, `cpu` the share
    of a core that each kind of process took."""

    writers: int
    asked: float
    told: float
    failed: int
    turns: int
    within: float
    p50: float
    p99: float
    recall: list[float]
    cpu: Mapping[str, float]


async def lag(rate: float, seconds: float, held: int, folder: Path, say: Callable[[str], None]) -> list[Lag]:
    """One row for one writer, one for two, each over an empty journal and `held` memories."""
    found = []
    for writers in (1, 2):
        place = folder / f"lag-{writers}"
        async with AsyncExitStack() as stack:
            shared = await stack.enter_async_context(state(place))
            say(f"loading {held:,} memories …")
            await targets.fill(place / "fill", held, shared.knobs)
            base = await stack.enter_async_context(targets.worker(None))
            upstream = f"http://127.0.0.1:{base.aim.port}/v1"
            doors = await stack.enter_async_context(gateways(shared, 2, upstream, None))
            writing = await stack.enter_async_context(shared.members("writer", writers, None, upstream=upstream))
            kinds = {
                "gateways": [pid(one) for one in doors],
                "writers": [pid(one) for one in writing],
                "Redis": [await shared.redis_pid()],
                "store": [pid(shared.store)],
            }
            say(f"{rate:g} turns a second, {writers} writing …")
            found.append(await _measured(doors, writing, kinds, rate, seconds))
    return found


async def _measured(
    doors: Sequence[Process],
    writing: Sequence[Process],
    kinds: Mapping[str, Sequence[int]],
    rate: float,
    seconds: float,
) -> Lag:
    await _speak(doors, rate, _WARM)
    await drained(doors[0].port)
    before, began, wall = await _buckets(writing), time.monotonic(), time.time()
    worked = {name: cpu_of(pids) for name, pids in kinds.items()}
    told, failed = await _speak(doors, rate, seconds)
    took = time.monotonic() - began
    await drained(doors[0].port)
    cpu = {name: (cpu_of(pids) - worked[name]) / took for name, pids in kinds.items()}
    after = await _buckets(writing)
    grown = {edge: after[edge] - before[edge] for edge in after}
    return Lag(
        len(writing),
        rate,
        told / took,
        failed,
        int(max(grown.values())),
        within(grown, GOAL),
        quantile(grown, 0.5),
        quantile(grown, 0.99),
        await recalls(doors[0].port, wall),
        cpu,
    )


async def _speak(doors: Sequence[Process], rate: float, seconds: float) -> tuple[int, int]:
    """Turns at that rate whatever becomes of them, to each gateway in turn; how many were answered, and failed."""
    speakers = [Speaker(Aim("on", one.port, user=True, memory="on")) for one in doors]
    loop, turns = asyncio.get_running_loop(), int(rate * seconds)
    began = loop.time()
    for number in range(turns):
        await asyncio.sleep(max(began + number / rate - loop.time(), 0))
        await speakers[number % len(speakers)].say()
    async with asyncio.timeout(_PATIENCE):
        while sum(one.told + one.failed for one in speakers) < turns:
            await asyncio.sleep(0.01)
    for one in speakers:
        one.close()
    return sum(one.told for one in speakers), sum(one.failed for one in speakers)


class Speaker:
    """Asks one gateway whenever it is told to, on a connection that is free or a new one."""

    def __init__(self, aim: Aim) -> None:
        self.told = self.failed = 0
        self._aim = aim
        self._dice = random.Random()
        self._free: list[Line] = []
        self._lines: list[Line] = []

    async def say(self) -> None:
        """One turn; nobody waits for the answer."""
        if not self._free:
            loop = asyncio.get_running_loop()
            _, line = await loop.create_connection(lambda: Line(self._done), "127.0.0.1", self._aim.port)
            self._lines.append(line)
            self._free.append(line)
        self._free.pop().send(request(self._aim, Job([self._aim], 0, 0), self._dice))

    def close(self) -> None:
        """Every connection."""
        for line in self._lines:
            line.transport.abort()

    def _done(self, line: Line) -> None:
        self.told += line.ok
        self.failed += not line.ok
        if not line.closed:
            self._free.append(line)


async def _buckets(writing: Sequence[Process]) -> Buckets:
    summed: dict[float, float] = {}
    async with httpx.AsyncClient(timeout=30) as client:
        for one in writing:
            told = (await client.get(f"{one.url}/metrics")).raise_for_status().text
            for edge, count in _BUCKET.findall(told):
                summed[float(edge)] = summed.get(float(edge), 0.0) + float(count)
    return summed


def within(buckets: Buckets, edge: float) -> float:
    """The share at or below this edge, which must be a bucket's."""
    return buckets[edge] / max(max(buckets.values()), 1)


def quantile(buckets: Buckets, share: float) -> float:
    """As histogram_quantile of Prometheus: a straight line within the bucket, the last finite edge for all beyond."""
    wanted, below, lower = share * max(buckets.values()), 0.0, 0.0
    for edge in sorted(buckets):
        if buckets[edge] >= wanted and buckets[edge] > below:
            if edge == float("inf"):
                return lower
            return lower + (edge - lower) * (wanted - below) / (buckets[edge] - below)
        below, lower = buckets[edge], edge if edge != float("inf") else lower
    return lower
