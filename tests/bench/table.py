"""The results as a table for people and as JSON for programs. Pure: judges nothing, rounds only what it prints."""

from collections.abc import Mapping, Sequence
from statistics import median, quantiles
from typing import Any

from tests.bench.measure import Row

_SATURATED = 0.85
_HEAD = ("target", "added p50", "added p99", "CPU/request", "requests/s", "CPU/event", "streams/s", "RSS", "failed")
_UNITS = ("", "ms, c=1", "ms, c=1", "ms, c=16", "c=32", "µs, paced", "50 events", "MB", "")
Summary = dict[str, float | None]


def summary(row: Row) -> Summary:
    """One number per measure, None where it was not taken. Times: the median of the rounds; rates: the best."""
    return {
        "added_p50_ms": median(row.added) if row.added else None,
        "added_p99_ms": quantiles(row.added, n=100)[98] if len(row.added) > 1 else None,
        "request_cpu_ms": median(row.request_ms) if row.request_ms else None,
        "requests_per_s": max(row.rps, default=None),
        "busy": max(row.busy, default=None),
        "event_cpu_us": median(row.event_us) if row.event_us else None,
        "streams_per_s": max(row.streams, default=None),
        "rss_mb": row.rss_mb or None,
        "asked": row.asked,
        "failed": row.failed,
        "skipped": row.skipped,
    }


def text(found: Mapping[str, Summary]) -> str:
    """The table; in brackets how many times as much as with memory off."""
    base = found.get("off", {})
    lines = [_HEAD, _UNITS, *(_line(name, of, base) for name, of in found.items())]
    widths = [max(len(line[i]) for line in lines) for i in range(len(_HEAD))]
    drawn = ["  ".join(_pad(cell, widths[i], i) for i, cell in enumerate(line)).rstrip() for line in lines]
    drawn.insert(2, "  ".join("-" * width for width in widths))
    return "\n".join(drawn)


def notes(found: Mapping[str, Summary]) -> list[str]:
    """What a reader must know before believing the table."""
    said = []
    idle = {name: busy for name, of in found.items() if (busy := of["busy"]) is not None and busy < _SATURATED}
    if idle:
        shares = ", ".join(f"{name} ({busy:.0%})" for name, busy in idle.items())
        said.append(
            f"Not at their limit at c=32, by the share of their core that they used: {shares}. Their requests/s are "
            "the load generator's, the worker's, or those of a machine that had other things to do."
        )
    for name, of in found.items():
        if of["skipped"]:
            said.append(f"{name}: {of['skipped']} of {of['asked']} answers skipped something (x-mneme-skipped).")
    return said


def goals(found: Mapping[str, Summary]) -> list[tuple[str, str, str]]:
    """(what was to be reached, what was measured, "reached", "missed" or "not measured")."""
    plans: Sequence[tuple[str, float | None, float, bool]] = (
        ("memory off: CPU per request ≤ 0.25 ms", _of(found, "off", "request_cpu_ms"), 0.25, False),
        ("memory off: CPU per event ≤ 30 µs", _of(found, "off", "event_cpu_us"), 30, False),
        ("memory off: requests/s ≥ 4 × forwarder", _times(found, "requests_per_s", "forwarder"), 4, True),
        ("memory off: streams/s ≥ vllm-router", _times(found, "streams_per_s", "vllm-router"), 1, True),
        ("memory on: adds ≤ 6 ms p50", _of(found, "on", "added_p50_ms"), 6, False),
        ("memory on: adds ≤ 15 ms p99", _of(found, "on", "added_p99_ms"), 15, False),
    )
    told = []
    for said, value, limit, least in plans:
        if value is None:
            told.append((said, "-", "not measured"))
        else:
            reached = value >= limit if least else value <= limit
            told.append((said, f"{value:.3g}", "reached" if reached else "missed"))
    return told


def _line(name: str, of: Summary, base: Mapping[str, float | None]) -> tuple[str, ...]:
    def cell(key: str, form: str, compared: bool = True) -> str:
        value, other = of.get(key), base.get(key)
        if value is None:
            return "-"
        ratio = f" ({value / other:.2f}×)" if compared and other else ""
        return format(value, form) + ratio

    return (
        name,
        cell("added_p50_ms", ".2f"),
        cell("added_p99_ms", ".2f"),
        cell("request_cpu_ms", ".3f"),
        cell("requests_per_s", ",.0f"),
        cell("event_cpu_us", ".1f"),
        cell("streams_per_s", ",.0f"),
        cell("rss_mb", ".0f", compared=False),
        cell("failed", ".0f", compared=False),
    )


def _pad(cell: str, width: int, place: int) -> str:
    return cell.ljust(width) if place == 0 else cell.rjust(width)


def _of(found: Mapping[str, Summary], name: str, key: str) -> float | None:
    return found[name].get(key) if name in found else None


def _times(found: Mapping[str, Summary], key: str, other: str) -> float | None:
    ours, theirs = _of(found, "off", key), _of(found, other, key)
    return ours / theirs if ours is not None and theirs else None


def document(found: Mapping[str, Summary], rows: Mapping[str, Row], about: Mapping[str, Any]) -> dict[str, Any]:
    """Everything, for a file."""
    rounds = {
        name: {"request_cpu_ms": r.request_ms, "rps": r.rps, "event_cpu_us": r.event_us, "streams": r.streams}
        for name, r in rows.items()
    }
    return {"about": dict(about), "targets": dict(found), "goals": goals(found), "rounds": rounds}
