"""What was found, as a table for people. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

_HEAD = (
    "what happens",
    "turns",
    "lost",
    "twice",
    "failed by memory",
    "leaked",
    "failed otherwise",
    "recalled",
    "slowest",
    "harmed",
    "recovered",
)


@dataclass(frozen=True)
class Row:
    """One scenario. `turns` were acknowledged, of which `lost` are not among the memories and `twice` are there more
    than once; `failed` answers are memory's fault and `excused` ones are not; `leaked` facts stood before somebody
    else's eyes. Of `recalled` prompts something was recalled. Seconds: of the slowest answer, of the harm, and from its
    end until no turn waited for longer than two seconds."""

    title: str
    turns: int
    lost: int
    twice: int
    failed: int
    leaked: int
    excused: int
    recalled: int
    slowest: float
    harmed: float
    recovered: float

    @property
    def good(self) -> bool:
        """Nothing happened that must not."""
        return bool(self.turns) and not (self.lost or self.twice or self.failed or self.leaked)


def text(rows: Sequence[Row]) -> str:
    """In Markdown, as wide as it needs to be."""
    lines = [_HEAD, *map(_cells, rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(_HEAD))]
    drawn = [" | ".join(_pad(cell, widths[at], at) for at, cell in enumerate(line)) for line in lines]
    rule = "|".join("-" * (width + 1) + ("-" if at == 0 else ":") for at, width in enumerate(widths))
    return "\n".join([f"| {drawn[0]} |", f"|{rule}|", *(f"| {line} |" for line in drawn[1:])])


def _cells(row: Row) -> tuple[str, ...]:
    counts = (row.turns, row.lost, row.twice, row.failed, row.leaked, row.excused, row.recalled)
    seconds = (row.slowest, row.harmed, row.recovered)
    return (row.title, *map(str, counts), *(f"{value:.1f} s" for value in seconds))


def _pad(cell: str, width: int, place: int) -> str:
    return cell.ljust(width) if place == 0 else cell.rjust(width)
