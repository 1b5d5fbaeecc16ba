"""What was measured, as JSON and as a Markdown table. Measures nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from gateway.evals.speed.measure import Asked, Timing

_PARTS = ("whole", "embed", "search", "rest", "cpu")


@dataclass(frozen=True, slots=True)
class Report:
    """`speed` is of indexing `turns` turns, in turns per second."""

    embedder: str
    turns: int
    speed: float
    asked: tuple[Asked, ...]


def as_json(report: Report) -> bytes:
    """Everything, with the milliseconds of every question."""
    sizes = [{**_sums(asked), "first": _plain(asked.first), "later": _plain(asked.later)} for asked in report.asked]
    told = {
        "embedder": report.embedder,
        "indexing": {"turns": report.turns, "turns_per_second": report.speed},
        "sizes": sizes,
    }
    return orjson.dumps(told, option=orjson.OPT_INDENT_2)


def as_markdown(report: Report) -> str:
    """Up to two lines per size, and how fast turns were indexed."""
    lines = [
        "| memories | users | question | asked | p50 ms | p95 ms | embed | search | rest | CPU | RSS MiB | disk MiB |",
        "|--:|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for asked in report.asked:
        for name, timings in (("first", asked.first), ("later", asked.later)):
            if timings:
                lines.append(_line(asked, name, timings))
    built = "; ".join(f"{one.memories}: {one.fill:.0f} s and {one.settle:.0f} s" for one in report.asked)
    return "\n".join(
        [
            *lines,
            "",
            "Embed, search, rest and CPU are medians, in ms.",
            f"Written, and then settled, in: {built}.",
            f"Indexed {report.speed:.0f} turns/s ({report.turns} turns, embedded by {report.embedder}).",
        ]
    )


def _line(asked: Asked, name: str, timings: Sequence[Timing]) -> str:
    found = _quantiles(timings)
    cells = (
        *(f"{asked.memories}", f"{asked.users}", name, f"{len(timings)}"),
        *(f"{found['whole']['p50']:.1f}", f"{found['whole']['p95']:.1f}"),
        *(f"{found[part]['p50']:.1f}" for part in _PARTS[1:]),
        *(f"{asked.rss_mib:.0f}", f"{asked.disk / 2**20:.0f}"),
    )
    return f"| {' | '.join(cells)} |"


def _sums(asked: Asked) -> dict[str, Any]:
    return {
        "memories": asked.memories,
        "users": asked.users,
        "fill_seconds": asked.fill,
        "settle_seconds": asked.settle,
        "disk_bytes": asked.disk,
        "rss_mib": asked.rss_mib,
    }


def _plain(timings: Sequence[Timing]) -> dict[str, Any]:
    return {"millis": _quantiles(timings), "each": [round(timing.whole, 3) for timing in timings]}


def _quantiles(timings: Sequence[Timing]) -> dict[str, dict[str, float]]:
    values = {part: [getattr(timing, part) for timing in timings] for part in _PARTS}
    return {part: {f"p{p}": float(np.percentile(of, p)) for p in (50, 95)} for part, of in values.items() if of}
