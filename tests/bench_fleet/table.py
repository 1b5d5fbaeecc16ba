"""What the parts found, as text for people. Pure: judges nothing but the project's own goals."""

from collections.abc import Mapping, Sequence
from statistics import median, quantiles

from tests.bench_fleet.costs import Row
from tests.bench_fleet.lag import GOAL, Lag
from tests.bench_fleet.load import Rows
from tests.bench_fleet.sizing import Case, plan
from tests.bench_fleet.units import Unit

_LOAD = (
    *("target", "processes", "added p50", "added p99", "p50 c=16", "p99 c=16", "requests/s c=32"),
    *("CPU", "+ writer", "+ Redis", "+ store", "recall p50", "recall p99", "skipped", "failed"),
)
_LAG = (
    *("writers", "turns/s asked", "came", "indexed", "within 2 s", "lag p50", "lag p99", "recall p50", "recall p99"),
    *("gateways", "writers' CPU", "Redis", "store", "failed"),
)
Lines = Sequence[Sequence[str]]


def markdown(lines: Lines, names: int = 1) -> str:
    """The first line is the head; so many columns hold names, the rest numbers."""
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    drawn = [
        " | ".join(
            cell.ljust(w) if at < names else cell.rjust(w)
            for at, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    rule = "|".join("-" * (width + 1) + ("-" if at < names else ":") for at, width in enumerate(widths))
    return "\n".join([f"| {drawn[0]} |", f"|{rule}|", *(f"| {line} |" for line in drawn[1:])])


def load_text(rows: Rows) -> str:
    """A line per lane; times in milliseconds, CPU in milliseconds per request."""
    return markdown([_LOAD, *(_load_cells(name, processes, row) for (name, processes), row in rows.items())])


def lag_text(lags: Sequence[Lag]) -> str:
    """A line per number of writers; lag in seconds, recall in milliseconds, CPU in cores."""
    return markdown([_LAG, *map(_lag_cells, lags)])


def units_text(units: Sequence[Unit]) -> str:
    """A line per unit."""
    lines = [
        ("what", "measured", "unit"),
        *((u.what, f"{u.value:,.2f}" if u.value < 10 else f"{u.value:,.0f}", u.unit) for u in units),
    ]
    return markdown(lines)


def plan_text(units: Sequence[Unit], case: Case) -> str:
    """The worked example of docs/sizing.md."""
    told = plan({unit.key: unit.value for unit in units if unit.key}, case)
    return markdown([("what", "formula", "how much"), *told], names=2)


def goals(rows: Rows, lags: Sequence[Lag]) -> list[tuple[str, str, str]]:
    """(what was to be reached, what was measured, "reached", "missed" or "not measured")."""
    off, on = rows.get(("off", 1), Row()), rows.get(("read", 1), Row())
    told = [
        ("memory off: adds ≤ 0.5 ms p50", median(off.added) if off.added else None, 0.5),
        ("recall ≤ 10 ms p50", median(on.recall) if on.recall else None, 10.0),
        *((f"lag p99 ≤ {GOAL:g} s at {lag.asked:g} turns/s, {lag.writers} writing", lag.p99, GOAL) for lag in lags),
    ]
    return [
        (what, "-", "not measured")
        if value is None
        else (what, f"{value:.3g}", "reached" if value <= limit else "missed")
        for what, value, limit in told
    ]


def _load_cells(name: str, processes: int, row: Row) -> tuple[str, ...]:
    mean = {who: median(values) for who, values in row.cpu.items()}
    return (
        name,
        str(processes),
        *_pair(row.added),
        *_pair(row.crowded),
        f"{max(row.rps):,.0f}" if row.rps else "-",
        *(f"{mean[who]:.2f}" if who in mean else "-" for who in ("gateway", "writer", "Redis", "store")),
        *_pair(row.recall),
        str(row.skipped),
        str(row.failed),
    )


def _lag_cells(lag: Lag) -> tuple[str, ...]:
    return (
        str(lag.writers),
        f"{lag.asked:g}",
        f"{lag.told:.1f}",
        str(lag.turns),
        f"{lag.within:.1%}",
        f"{lag.p50:.3f}",
        f"{lag.p99:.3f}",
        *_pair(lag.recall),
        *(f"{lag.cpu[kind]:.2f}" for kind in ("gateways", "writers", "Redis", "store")),
        str(lag.failed),
    )


def _pair(values: Sequence[float]) -> tuple[str, str]:
    if len(values) < 2:
        return "-", "-"
    return f"{median(values):.2f}", f"{quantiles(values, n=100)[98]:.2f}"


def document(rows: Rows, lags: Sequence[Lag], units: Sequence[Unit], about: Mapping[str, object]) -> dict[str, object]:
    """Everything that was printed, for a file."""
    return {
        "about": dict(about),
        "load": [dict(zip(_LOAD, _load_cells(name, number, row), strict=True)) for (name, number), row in rows.items()],
        "lag": [dict(zip(_LAG, _lag_cells(lag), strict=True)) for lag in lags],
        "units": {unit.what: unit.value for unit in units},
    }
