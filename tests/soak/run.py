"""The fleet and the embedded gateway, both lived in at the same time and looked at. Prints nothing."""

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.bench_fleet.stack import pid, state
from tests.soak.flat import Bound, Verdict, judged
from tests.soak.scenes import KEYS, Stage
from tests.soak.town import Town
from tests.soak.watch import Watched, still_running, watch
from tests.support.fleet import member
from tests.support.upstream import scripted_upstream

BOUNDS = (
    Bound("rss", "MB", 12.0, 4.0),
    Bound("files", "", 8.0, 3.0),
    Bound("threads", "", 2.0, 1.0),
    Bound("tasks", "", 8.0, 4.0),
)
WARM = 0.25
"""Of the time: caches fill, pools open, and everything is done faster than afterwards, so that they are full."""
_RUSH = 4.0
_SAMPLES = 300
_PACE, _SEATS, _STAY = {"fleet": 10.0, "serve": 6.0}, 24, 6.0
_REST = 30.0
_PAUSE = 0.01
_KNOBS = {"keys": KEYS, "recall_deadline": "1", "trace_limit": "1000", "drain_seconds": "10"}


@dataclass(frozen=True)
class Found:
    """`watched` with all their samples; `wrong` is empty when all went as it must; `left` counts, by process, requests
    that are still said to run when nobody asks any more; `waiting` turns are not indexed by then."""

    watched: list[Watched]
    verdicts: list[Verdict]
    seen: Counter[str]
    wrong: Counter[str]
    left: dict[str, int]
    waiting: int
    dead: int

    @property
    def good(self) -> bool:
        """Nothing grows, nothing went wrong, nothing is left."""
        still = self.waiting or self.dead or any(self.left.values())
        return not (self.wrong or still) and all(verdict.flat for verdict in self.verdicts)


async def soak(seconds: float, say: Callable[[str], None]) -> Found:
    """Everything at once for so long."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mneme-soak-")))
        worker = Stage(await stack.enter_async_context(scripted_upstream()))
        worker.pause = _PAUSE
        knobs = {**_KNOBS, "upstream": worker.url}
        say("starting two gateways, two writers, Redis, the store, and mneme serve …")
        shared = await stack.enter_async_context(state(folder))
        gateways = await stack.enter_async_context(shared.members("gateway", 2, None, **knobs))
        writers = await stack.enter_async_context(shared.members("writer", 2, None, **knobs))
        alone = member("serve", folder / "serve", {name.upper(): value for name, value in knobs.items()})
        stack.push_async_callback(alone.close)
        await alone.start()
        named = [("gateway", gateways), ("writer", writers), ("serve", [alone])]
        watched = [Watched(f"{name} {i + 1}", pid(p), p.url) for name, ps in named for i, p in enumerate(ps)]
        watched += [Watched("Redis", await shared.redis_pid()), Watched("stand-in store", pid(shared.store))]
        doors = {"fleet": [gateway.url for gateway in gateways], "serve": [alone.url]}
        towns = [Town(name, urls, _SEATS, _PACE[name], _STAY) for name, urls in doors.items()]
        await _lived(towns, watched, seconds, say)
        waiting, dead = await _at_rest([gateways[0].url, alone.url])
        left = {each.name: await still_running(each.url) for each in watched if each.ours}
        warm = seconds * WARM
        verdicts = [
            judged(each.name, bound, each.times, each.seen[bound.measure], warm)
            for each in watched
            if each.ours
            for bound in BOUNDS
        ]
        seen = sum((town.seen for town in towns), Counter[str]())
        wrong = sum((town.wrong for town in towns), Counter[str]())
        return Found(watched, verdicts, seen, wrong, left, waiting, dead)


async def _lived(towns: list[Town], watched: list[Watched], seconds: float, say: Callable[[str], None]) -> None:
    began = time.monotonic()
    until = began + seconds
    async with asyncio.TaskGroup() as tasks:
        for town in towns:
            tasks.create_task(town.live(began + seconds * WARM, until, _RUSH))
        tasks.create_task(watch(watched, max(seconds / _SAMPLES, 1.0), until))
        while (now := time.monotonic()) < until:
            scenes, wrong = (sum(sum(counts.values()) for counts in kind) for kind in _counts(towns))
            say(f"{(now - began) / 60:.1f} of {seconds / 60:g} minutes, {scenes} scenes, {wrong} went wrong")
            await asyncio.sleep(2.0)


def _counts(towns: list[Town]) -> tuple[list[Counter[str]], list[Counter[str]]]:
    return [town.seen for town in towns], [town.wrong for town in towns]


async def _at_rest(urls: list[str]) -> tuple[int, int]:
    """Turns that wait, and dead letters, of all journals, once nothing waits or after a while."""
    until = time.monotonic() + _REST
    async with httpx.AsyncClient(timeout=30) as client:
        while True:
            lags = [(await client.get(f"{url}/admin/journal")).raise_for_status().json() for url in urls]
            waiting, dead = (sum(lag[name] for lag in lags) for name in ("pending", "dead"))
            if not waiting or time.monotonic() > until:
                return waiting, dead
            await asyncio.sleep(0.5)
