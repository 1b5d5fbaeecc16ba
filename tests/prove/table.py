"""What was found, as a table for people. Pure."""

from collections.abc import Collection, Sequence
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
    return drawn(_HEAD, [*map(_cells, rows)])


def drawn(head: Sequence[str], rows: Sequence[Sequence[str]], left: Collection[int] = (0,)) -> str:
    """Any table in Markdown; the columns at `left` hold words, all others numbers."""
    lines = [head, *rows]
    widths = [max(len(line[at]) for line in lines) for at in range(len(head))]
    cells = [
        [
            cell.ljust(width) if at in left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        for line in lines
    ]
    rule = "|".join("-" * (width + 1) + ("-" if at in left else ":") for at, width in enumerate(widths))
    first, *others = (f"| {' | '.join(line)} |" for line in cells)
    return "\n".join([first, f"|{rule}|", *others])


def _cells(row: Row) -> tuple[str, ...]:
    counts = (row.turns, row.lost, row.twice, row.failed, row.leaked, row.excused, row.recalled)
    seconds = (row.slowest, row.harmed, row.recovered)
    return (row.title, *map(str, counts), *(f"{value:.1f} s" for value in seconds))
