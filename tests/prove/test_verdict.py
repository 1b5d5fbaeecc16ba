"""The table that `make prove` ends with."""

from dataclasses import replace

from tests.prove.parts import PARTS
from tests.prove.verdict import Verdict, summary

GOOD = Verdict("fuzz", "cases", 20_000, "a 5xx of our own", 0)


def test_a_verdict_needs_trials_and_no_finding() -> None:
    """Nothing tried is nothing shown."""
    assert GOOD.good
    assert not replace(GOOD, number=0).good
    assert not replace(GOOD, found=1).good


def test_the_summary_is_one_table_with_what_was_found_below() -> None:
    """A line per verdict, all of one width; findings are told in words."""
    lines = summary([GOOD, replace(GOOD, found=2, told=("one", "other"))]).splitlines()

    assert len({len(line) for line in lines[:4]}) == 1
    assert [cell.strip() for cell in lines[2].strip("|").split("|")] == [*("fuzz", "cases", "20,000"), GOOD.never, "0"]
    assert lines[4:] == ["", "- fuzz: one", "- fuzz: other"]


def test_every_part_can_be_asked_for() -> None:
    """By these names."""
    assert [*PARTS] == ["chaos", "isolation", "forgetting", "fuzz", "poisoning"]
