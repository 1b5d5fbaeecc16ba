"""What a lane costs: one measurement at a time, all processes' clocks read before and after. Linux only (/proc)."""

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

import httpx

from tests.bench import memories, words
from tests.bench.load import Aim, Job, Seen
from tests.bench.measure import CROWD, FULL, Bench, cpu_seconds, drained
from tests.bench_fleet.lanes import Lane

_TRACES = 20


@dataclass
class Row:
    """What was seen of a lane, a value per round, but for `added` and the other latencies (milliseconds), pooled over
    rounds. `cpu` maps who worked ("gateway": the lane itself) to milliseconds of CPU per request."""

    added: list[float] = field(default_factory=list)
    alone: list[float] = field(default_factory=list)
    crowded: list[float] = field(default_factory=list)
    recall: list[float] = field(default_factory=list)
    rps: list[float] = field(default_factory=list)
    cpu: dict[str, list[float]] = field(default_factory=dict)
    asked: int = 0
    failed: int = 0
    skipped: int = 0


class Costs:
    """Measures for `seconds` each. `beside` are the processes that do a part of the work elsewhere, by name."""

    def __init__(self, bench: Bench, seconds: float, beside: Mapping[str, Sequence[int]]) -> None:
        self._bench = bench
        self._seconds = seconds
        self._beside = beside
        self._seeds = count(random.randrange(1 << 30))

    async def measure(self, base: Aim, lane: Lane, row: Row) -> None:
        """One round: latency beside the worker's own, CPU at a middling load, then as fast as it goes."""
        if lane.name != "direct":
            await self._latency(base, lane, row)
        await self._cpu(lane, row)
        seen = await self._crowd(lane, FULL)
        row.rps.append(sum(one.rate for one in seen))
        await self._settle(lane)
        _count(row, seen)

    async def _latency(self, base: Aim, lane: Lane, row: Row) -> None:
        began = time.time()
        seen = await self._bench.run(Job([base, lane.aims[0]], self._seconds, next(self._seeds)))
        direct, theirs = seen.millis
        row.alone += theirs
        row.added += [there - here for here, there in zip(direct, theirs, strict=False)]
        if lane.remembers:
            row.recall += await recalls(lane.aims[0].port, began)
        _count(row, [seen])

    async def _cpu(self, lane: Lane, row: Row) -> None:
        workers = {"gateway": lane.pids, **(self._beside if lane.name in ("off", "read", "on") else {})}
        before = {name: cpu_of(pids) for name, pids in workers.items()}
        seen = await self._crowd(lane, CROWD)
        await self._settle(lane)
        answers = sum(len(millis) for one in seen for millis in one.millis)
        for name, pids in workers.items():
            row.cpu.setdefault(name, []).append((cpu_of(pids) - before[name]) / max(answers, 1) * 1000)
        row.crowded += [each for one in seen for millis in one.millis for each in millis]
        _count(row, seen)

    async def _crowd(self, lane: Lane, clients: int) -> list[Seen]:
        """As many in all, shared out over the lane's doors."""
        jobs = [Job([aim], self._seconds, next(self._seeds), clients // lane.processes) for aim in lane.aims]
        return await asyncio.gather(*map(self._bench.run, jobs))

    async def _settle(self, lane: Lane) -> None:
        if lane.remembers:
            await drained(lane.aims[0].port)


def cpu_of(pids: Sequence[int]) -> float:
    """Seconds that these and their descendants have used so far."""
    return sum(map(cpu_seconds, pids))


async def recalls(port: int, since: float) -> list[float]:
    """Milliseconds of recall, of the latest traces of every user from that time on."""
    found = []
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        for number in range(words.USERS):
            whose = {"tenant": memories.TENANT, "user": words.user(number), "limit": str(_TRACES)}
            told = (await client.get("/admin/traces", params=whose)).raise_for_status().json()
            found += [trace["millis"]["recall"] for trace in told["items"] if trace["at"] >= since]
    return found


def _count(row: Row, seen: Sequence[Seen]) -> None:
    row.asked += sum(len(millis) for one in seen for millis in one.millis) + sum(one.failed for one in seen)
    row.failed += sum(one.failed for one in seen)
    row.skipped += sum(one.skipped for one in seen)
