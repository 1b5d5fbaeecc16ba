"""How this process fares, beat by beat, for the last hour: what its metrics count, with percentiles of the time since
the beat before. Knows no request, no user and no text; what does not answer is told as unknown."""

import asyncio
import os
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from prometheus_client import Counter, Histogram

from gateway.errors import MnemeError
from gateway.memory.ports import Journal
from gateway.memory.thinking import Agenda
from gateway.telemetry import Telemetry

T = TypeVar("T")

EVERY = 5.0
"""Seconds from beat to beat."""

_KEPT = int(3600 / EVERY)
_PATIENCE = 2.0
_MEMORY = Path("/proc/self/statm")


@dataclass(frozen=True, slots=True)
class Buckets:
    """Observations by size: `counts` are those up to each of the rising `edges` and above the one before, and, as one
    count more, those beyond the last."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]

    def since(self, before: "Buckets | None") -> "Buckets":
        """What came on top of an earlier state of the same histogram; None for an empty one."""
        if before is None:
            return self
        return Buckets(self.edges, tuple(now - then for now, then in zip(self.counts, before.counts, strict=True)))

    def quantile(self, share: float) -> float:
        """What this share in [0, 1] of the observations lies at or below, as Prometheus' histogram_quantile reckons:
        evenly spread within a bucket, from 0 in the first, and the last edge for what lies beyond. 0 for none."""
        rank, below, low = share * sum(self.counts), 0, 0.0
        for edge, count in zip(self.edges, self.counts, strict=False):  # the count beyond has no edge
            if count and below + count >= rank:
                return low + (edge - low) * max(rank - below, 0.0) / count
            below, low = below + count, edge
        return low if sum(self.counts) else 0.0


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Of durations, in milliseconds."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What came of recalls, so far."""

    hit: int
    silent: int
    skipped: int


@dataclass(frozen=True, slots=True)
class Beat:
    """How things stood at a moment, in seconds since the epoch. None where journal, agenda or system did not tell.

    Of the journal turns that wait are `pending`, those given up `dead`, the age of the oldest that waits `oldest`
    (seconds); `due` turns are to be thought about; `rss` are bytes in RAM. What is counted is counted since the process
    began: `answers`, of these `errors` (status 5xx), workers that `broke` (did not answer, or not wholly), `recalls`,
    `injected` tokens, `prompt` tokens and those of them that were `cached`, `turns` journalled, turns `indexed`. Only
    `loop` (how late the event loop was) and `verbs` (those that ended) are about the time since the beat before.
    """

    at: float
    pending: int | None
    dead: int | None
    oldest: float | None
    due: int | None
    rss: int | None
    answers: int
    errors: int
    broke: int
    recalls: Outcomes
    injected: int
    prompt: int
    cached: int
    turns: int
    indexed: int
    loop: Quantiles | None
    verbs: Mapping[str, Quantiles]


@dataclass(slots=True)
class Pulse:
    """The beats of one process, which `process` tells from others; the oldest leave. `clock` gives seconds since the
    epoch."""

    telemetry: Telemetry
    journal: Journal
    agenda: Agenda
    clock: Callable[[], float]
    process: str
    _beats: deque[Beat] = field(default_factory=lambda: deque(maxlen=_KEPT))
    _verbs: Mapping[str, Buckets] = field(default_factory=dict)
    _loop: Buckets | None = None

    async def run(self) -> None:
        """A beat now and then, for as long as this runs."""
        while True:
            await self.beat()
            await asyncio.sleep(EVERY)

    async def beat(self) -> None:
        """Take one."""
        lag = await _told(self.journal.lag())
        due = await _told(self.agenda.waiting())
        seen, verbs = self.telemetry, self.verbs()
        loop = buckets(seen.loop_delay)[""]
        now = Beat(
            at=self.clock(),
            pending=lag.pending if lag else None,
            dead=lag.dead if lag else None,
            oldest=lag.oldest if lag else None,
            due=due,
            rss=_resident(),
            answers=total(seen.answers),
            errors=total(seen.answers, status="5xx"),
            broke=total(seen.upstream_errors),
            recalls=Outcomes(*(total(seen.recalls, outcome=each) for each in ("hit", "silent", "skipped"))),
            injected=_sum(seen.injected),
            prompt=total(seen.prompt_tokens),
            cached=total(seen.cached_tokens),
            turns=total(seen.turns),
            indexed=total(seen.indexed, result="indexed"),
            loop=_quantiles(loop.since(self._loop)),
            verbs={
                verb: took for verb, ever in verbs.items() if (took := _quantiles(ever.since(self._verbs.get(verb))))
            },
        )
        self._beats.append(now)
        self._verbs, self._loop = verbs, loop

    def since(self, at: float) -> list[Beat]:
        """The beats after that moment, earliest first."""
        return [beat for beat in self._beats if beat.at > at]

    def verbs(self) -> dict[str, Buckets]:
        """How long every verb took, in milliseconds, since the process began."""
        return buckets(self.telemetry.verbs)


def buckets(histogram: Histogram) -> dict[str, Buckets]:
    """A histogram of seconds in milliseconds, by the value of its one label; "" where it has none."""
    found: dict[str, dict[float, int]] = {}
    for metric in histogram.collect():
        for sample in metric.samples:
            if sample.name.endswith("_bucket"):
                label = next((value for name, value in sample.labels.items() if name != "le"), "")
                found.setdefault(label, {})[float(sample.labels["le"])] = int(sample.value)
    return {label: _apart(upto) for label, upto in found.items()}


def total(counter: Counter, **labels: str) -> int:
    """What it counts over all labels, or over those that have these values."""
    samples = (sample for metric in counter.collect() for sample in metric.samples if sample.name.endswith("_total"))
    return int(sum(sample.value for sample in samples if labels.items() <= sample.labels.items()))


def _sum(histogram: Histogram) -> int:
    samples = (sample for metric in histogram.collect() for sample in metric.samples)
    return int(sum(sample.value for sample in samples if sample.name.endswith("_sum")))


def _apart(upto: Mapping[float, int]) -> Buckets:
    """Out of counts that each hold those before them, the last one all."""
    counts: Sequence[int] = [0, *upto.values()]
    return Buckets(tuple(round(edge * 1000, 3) for edge in [*upto][:-1]), tuple(b - a for a, b in pairwise(counts)))


def _quantiles(took: Buckets) -> Quantiles | None:
    if not any(took.counts):
        return None
    return Quantiles(*(round(took.quantile(share), 3) for share in (0.5, 0.95, 0.99)))


async def _told(question: Coroutine[Any, Any, T]) -> T | None:
    """None where nobody answers in time: the other numbers are worth having most then."""
    try:
        async with asyncio.timeout(_PATIENCE):
            return await question
    except (MnemeError, TimeoutError):
        return None


def _resident() -> int | None:
    """Bytes in RAM; None on a system that tells it otherwise."""
    try:
        return int(_MEMORY.read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None
