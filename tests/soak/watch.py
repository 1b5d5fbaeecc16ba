"""Looks at processes every few seconds: what they hold, as the kernel says, and their tasks, as they say themselves.
Linux only (/proc). Judges nothing.
"""

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

_TASKS = re.compile(r"^mneme_tasks (\S+)$", re.MULTILINE)
_RUNNING = re.compile(r"^mneme_requests_in_flight (\S+)$", re.MULTILINE)
_KIB_PER_MB = 1000 / 1.024


@dataclass
class Watched:
    """A process. `url` has its /metrics; "" for one that is not ours, which is looked at and not judged. The samples
    stand side by side: `times` in seconds from the start, and each measure's values."""

    name: str
    pid: int
    url: str = ""
    times: list[float] = field(default_factory=list)
    seen: dict[str, list[float]] = field(default_factory=dict)

    @property
    def ours(self) -> bool:
        """Whether it is judged."""
        return bool(self.url)

    async def look(self, client: httpx.AsyncClient, now: float) -> None:
        """One sample more. A process that has ended raises FileNotFoundError."""
        proc = Path("/proc") / str(self.pid)
        status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
        found = {
            "rss": int(status["VmRSS"].split()[0]) / _KIB_PER_MB,
            "files": float(sum(1 for _ in (proc / "fd").iterdir())),
            "threads": float(status["Threads"]),
        }
        if self.url:
            found["tasks"] = await asked(client, self.url, _TASKS)
        self.times.append(now)
        for measure, value in found.items():
            self.seen.setdefault(measure, []).append(value)


async def watch(watched: Sequence[Watched], every: float, until: float) -> None:
    """Sample all of them now and then, until that time of the monotonic clock."""
    began = time.monotonic()
    async with httpx.AsyncClient(timeout=30) as client:
        while time.monotonic() < until:
            due = time.monotonic() + every
            for each in watched:
                await each.look(client, time.monotonic() - began)
            await asyncio.sleep(max(due - time.monotonic(), 0))


async def still_running(url: str) -> int:
    """Requests that the gateway says it is answering."""
    async with httpx.AsyncClient(timeout=30) as client:
        return int(await asked(client, url, _RUNNING))


async def asked(client: httpx.AsyncClient, url: str, what: re.Pattern[str]) -> float:
    """One number of /metrics."""
    told = what.search((await client.get(f"{url}/metrics")).raise_for_status().text)
    assert told is not None
    return float(told[1])
