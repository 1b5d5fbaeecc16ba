"""How the gateway fares: its queue, verbs, memory and workers, and the acts that mend. Decides nothing itself.

What does not answer is left out and said to be unknown: a page about health has to open when things are ill.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from hashlib import sha256
from time import monotonic
from typing import Any

from starlette.responses import Response

from gateway.errors import Turned
from gateway.pages.views.beats import Chart, charts, tiles, took
from gateway.pages.views.blocks import Samples
from gateway.pages.views.live import stream
from gateway.pages.visitor import Visitor

_HOUR = 3600.0
_RECOUNTED = 60.0
_LETTERS = 20
_PARTS = ("ready", "tiles", "verbs", "growth", "unserved", "dead")
_PER_WORKER = ("now", "act", "told", "blocks")
_SAID = {
    "replay": "Put back into the queue: {n}. They are tried again now.",
    "nudge": "The writer is awake. Turns that waited: {n}.",
    "drain": "It gets no new requests; what runs there ends. Requests in flight: {n}.",
    "undrain": "It gets requests again. Requests in flight: {n}.",
}


@dataclass(slots=True)
class Watch:
    """What who looks has seen: an hour of beats, a minute of KV, and the counts, which are asked for less often."""

    beats: list[dict[str, Any]] = field(default_factory=list)
    blocks: dict[str, Samples] = field(default_factory=dict)
    charts: list[Chart] = field(default_factory=list)
    stats: dict[str, Any] | None = None
    counted: float | None = None

    async def look(self, visitor: Visitor) -> dict[str, Any]:
        """All that the page shows, as of now."""
        api, now = visitor.api, monotonic()
        since = self.beats[-1]["at"] if self.beats else 0.0
        ready, vitals, told, dead, stats = await asyncio.gather(
            api.health(),
            api.get("/vitals", since=since),
            _told(api.get("/workers")),
            _told(api.get("/journal/dead", limit=_LETTERS, cursor=visitor.asked("letters"))),
            _told(self._count(visitor, now)),
        )
        self.beats += vitals["beats"]
        self.beats = [beat for beat in self.beats if beat["at"] > self.beats[-1]["at"] - _HOUR]
        if vitals["beats"] or not self.charts:
            self.charts = charts(self.beats)
        workers = enumerate(told["workers"] if told else [])
        return {
            "ready": ready,
            "process": vitals["process"],
            "every": vitals["every"],
            "span": self.beats[-1]["at"] - self.beats[0]["at"] if self.beats else 0.0,
            "tiles": tiles(self.beats),
            "charts": self.charts,
            "verbs": took(vitals["histograms"]),
            "stats": stats,
            "workers": await asyncio.gather(*(self._worker(visitor, n, worker, now) for n, worker in workers)),
            "unserved": told["unserved"] if told else [],
            "dead": dead,
        }

    async def _count(self, visitor: Visitor, now: float) -> dict[str, Any] | None:
        if self.counted is None or now - self.counted > _RECOUNTED:
            self.stats = await visitor.api.get("/stats")
            self.counted = now
        return self.stats

    async def _worker(self, visitor: Visitor, n: int, worker: dict[str, Any], now: float) -> dict[str, Any]:
        # Two pools may name one URL; and if the list should ever change, no part may come to stand at another's place.
        url = worker["url"]
        id = f"worker-{n}-{sha256(url.encode()).hexdigest()[:12]}"
        shown = {**worker, "id": id, "map": None, "why": ""}
        if worker["kv"] is not None:
            try:
                told = await visitor.api.get("/workers/kv", url=url)
            except Turned as refused:
                return {**shown, "why": refused.message}
            shown["map"] = self.blocks.setdefault(id, Samples()).add(now, told)
        return shown


async def show(visitor: Visitor) -> Response:
    """The page."""
    said = _SAID.get(visitor.asked("did"), "")
    number = visitor.asked("n")
    said = said.format(n=int(number) if number.isascii() and number.isdecimal() and len(number) < 12 else "unknown")
    return visitor.page("health.html", said=said, undo=None, onward=None, **await Watch().look(visitor))


async def live(visitor: Visitor) -> Response:
    """What changes on it, part by part, so that who reads or types elsewhere is not disturbed."""
    watch, shown = Watch(), dict[str, str]()

    async def look() -> tuple[str, str] | None:
        now = _parts(visitor, await watch.look(visitor))
        fresh = {id: text for id, text in now.items() if shown.get(id) != text}
        shown.update(fresh)
        return ("health", "".join(fresh.values())) if fresh else None

    return stream(visitor, look)


async def replay(visitor: Visitor) -> Response:
    """Try one dead letter again, or all of them."""
    which = {"all": True} if visitor.sent("all") == "true" else {"ids": [visitor.sent("id")]}
    done = await visitor.api.post("/journal/replay", which)
    return visitor.moved(visitor.url("/health", did="replay", n=done["replayed"]))


async def nudge(visitor: Visitor) -> Response:
    """Wake the writer."""
    lag = await visitor.api.post("/journal/nudge")
    return visitor.moved(visitor.url("/health", did="nudge", n=lag["pending"]))


async def drain(visitor: Visitor) -> Response:
    """Have a worker get no new requests, or get them again."""
    leaves = visitor.sent("drain") == "true"
    worker = await visitor.api.post("/workers/drain", {"url": visitor.sent("url"), "drain": leaves})
    return visitor.moved(visitor.url("/health", did="drain" if leaves else "undrain", n=worker["in_flight"]))


def _parts(visitor: Visitor, seen: dict[str, Any]) -> dict[str, str]:
    """Each part of the page that changes, by its id, as what takes its place."""
    told = {id: visitor.fill("parts/living.html", id=id, part=f"parts/health_{id}.html", **seen) for id in _PARTS}
    for worker in seen["workers"]:
        for part in _PER_WORKER:
            id, template = f"{worker['id']}-{part}", f"parts/worker_{part}.html"
            told[id] = visitor.fill("parts/living.html", id=id, part=template, worker=worker, **seen)
    for chart in seen["charts"]:
        told[chart.id] = visitor.fill("parts/fed.html", chart=chart)
    return told


async def _told(question: Awaitable[Any]) -> Any:
    """None where what would know does not answer."""
    try:
        return await question
    except Turned as refused:
        if refused.status < 500:
            raise
        return None
