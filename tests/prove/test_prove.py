"""A slice of `make prove` that CI runs, and its table."""

from dataclasses import replace

import pytest

from tests.prove.run import prove
from tests.prove.scenarios import QUICK
from tests.prove.table import Row, text

GOOD = Row("kill -9", 40, 0, 0, 0, 0, 3, 20, 0.25, 6.0, 1.5)


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_nothing_is_lost_whatever_is_harmed() -> None:
    """A gateway and Redis killed, answers cut: every turn whose end was seen is there, once, and nobody else's eyes saw
    it; no answer failed for memory's sake."""
    rows = await prove(QUICK, 20, 6.0, 10.0, lambda what: None)

    assert [row.title for row in rows if not row.good] == []
    assert all(row.turns >= 30 and row.recalled for row in rows)
    assert all(row.excused for row in rows if row.title != "kill -9 Redis")


def test_a_row_says_what_must_not_be() -> None:
    """One of anything is too much, and so is a scenario in which nothing was told."""
    names = ("lost", "twice", "failed", "leaked")

    assert GOOD.good
    assert not any(replace(GOOD, **{name: 1}).good for name in names)  # type: ignore[arg-type]
    assert not replace(GOOD, turns=0).good


def test_the_table_is_markdown() -> None:
    """A head, a rule, and a line per row, all of one width."""
    lines = text([GOOD, GOOD]).splitlines()

    assert len(lines) == 4 and len({len(line) for line in lines}) == 1
    assert [cell.strip() for cell in lines[2].strip("|").split("|")][:4] == ["kill -9", "40", "0", "0"]
