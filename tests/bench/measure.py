"""One measurement at a time: runs a load against a target, reads the clocks before and after. Linux only (/proc)."""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from tests.bench.load import Job, Seen
from tests.bench.targets import MEMORY, ROOT, Target

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_DRAIN_SECONDS = 20.0
EVENTS, GAP = 50, 2
CROWD, FULL, PACED, FLOOD = 16, 32, 32, 16


@dataclass
class Row:
    """What was seen of one target, a value per round. Differences to `direct` in milliseconds, pooled over rounds;
    `busy` is the share of its core that the target used while it was asked as fast as it goes."""

    added: list[float] = field(default_factory=list)
    request_ms: list[float] = field(default_factory=list)
    rps: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    event_us: list[float] = field(default_factory=list)
    streams: list[float] = field(default_factory=list)
    rss_mb: float = 0.0
    asked: int = 0
    failed: int = 0
    skipped: int = 0


class Bench:
    """Runs jobs on the core that is not the target's, `seconds` each; `seed` moves on, so no question comes twice."""

    def __init__(self, core: int | None, seconds: float, seed: int) -> None:
        self._core = core
        self._allowed = os.sched_getaffinity(0)  # not asked anew: two that start at once would see each other's core
        self._seconds = seconds
        self._seed = seed

    async def warm(self, target: Target) -> None:
        """Let it import, connect and compile what it does on first use."""
        await self.run(Job([target.aim], self._seconds / 4, self._seed, 4))

    async def latency(self, base: Target, target: Target, row: Row) -> None:
        """One client asks both in turn; the difference is what the target adds."""
        seen = await self.run(Job([base.aim, target.aim], self._seconds, self._seed))
        row.added += [theirs - direct for direct, theirs in zip(*seen.millis, strict=False)]
        _count(row, seen)

    async def requests(self, target: Target, row: Row) -> None:
        """CPU per request at a middling load, with what the writer does afterwards."""
        before = cpu_seconds(target.pid)
        seen = await self.run(Job([target.aim], self._seconds, self._seed, CROWD))
        if target.name in MEMORY:
            await drained(target.aim.port)
        row.request_ms.append((cpu_seconds(target.pid) - before) / max(len(seen.millis[0]), 1) * 1000)
        _count(row, seen)

    async def throughput(self, target: Target, row: Row) -> None:
        """Requests a second when more clients ask than can be answered."""
        before = cpu_seconds(target.pid)
        seen = await self.run(Job([target.aim], self._seconds, self._seed, FULL))
        row.rps.append(seen.rate)
        row.busy.append((cpu_seconds(target.pid) - before) / max(seen.took, self._seconds))
        if target.name in MEMORY:
            await drained(target.aim.port)
        _count(row, seen)

    async def events(self, target: Target, row: Row) -> None:
        """CPU per event of a stream whose events come one by one; the request's own CPU is part of it."""
        before = cpu_seconds(target.pid)
        seen = await self.run(Job([target.aim], self._seconds, self._seed, PACED, EVENTS, GAP))
        events = max(len(seen.millis[0]), 1) * EVENTS
        row.event_us.append((cpu_seconds(target.pid) - before) / events * 1e6)
        _count(row, seen)

    async def flood(self, target: Target, row: Row) -> None:
        """Streams a second when the worker sends as fast as it can."""
        seen = await self.run(Job([target.aim], self._seconds, self._seed, FLOOD, EVENTS))
        row.streams.append(seen.rate)
        _count(row, seen)

    async def run(self, job: Job) -> Seen:
        """One job, in a process of its own; what it saw."""
        self._seed += 1
        if self._core is not None:
            os.sched_setaffinity(0, {self._core})
        try:
            load = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.bench.load",
                msgspec.json.encode(job).decode(),
                cwd=ROOT,
                stdout=asyncio.subprocess.PIPE,
            )
        finally:
            os.sched_setaffinity(0, self._allowed)
        told, _ = await load.communicate()
        return msgspec.json.decode(told, type=Seen)


def _count(row: Row, seen: Seen) -> None:
    row.asked += sum(len(millis) for millis in seen.millis) + seen.failed
    row.failed += seen.failed
    row.skipped += seen.skipped


async def drained(port: int) -> None:
    """Return when the writers have nothing left to do, or after a while."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            while not await _idle(port):
                await asyncio.sleep(0.1)


async def _idle(port: int) -> bool:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")
    told = await reader.read(-1)
    writer.close()
    return b"\nmneme_journal_pending 0.0" in told


def cpu_seconds(pid: int) -> float:
    """What the process and its descendants have used so far, in user and in kernel mode."""
    return sum(int(ticks) for stat in _family(pid) for ticks in stat[11:13]) / _TICKS


def rss_mb(pid: int) -> float:
    """What the process and its descendants hold in memory, in MB."""
    return sum(int(stat[21]) for stat in _family(pid)) * _PAGE / 1e6


def _family(pid: int) -> Iterator[list[str]]:
    """The fields of /proc/PID/stat after the name, of the process and of its descendants."""
    stats = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(FileNotFoundError, ProcessLookupError):
                stats[int(folder.name)] = (folder / "stat").read_text().rpartition(")")[2].split()
    family = [pid]
    for member in family:  # grows while it is read
        if member in stats:
            yield stats[member]
        family += [child for child, stat in stats.items() if int(stat[1]) == member]
