"""A slice of the fuzzing that CI runs, and how findings are counted."""

import pytest
from hypothesis import strategies as st

from tests.prove.fuzz import Fuzzed, fuzz
from tests.prove.fuzz.found import Found, Part, Tally, hold
from tests.prove.fuzz.vitals import Size

CASES = 200


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_nothing_that_is_sent_breaks_it() -> None:
    """The same cases each time, of every part, at a gateway with keys or without: no 5xx of ours, and it is well."""
    fuzzed = await fuzz(CASES, lambda what: None, seed=0)

    assert fuzzed.examples == ()
    assert fuzzed.cases >= CASES


def test_what_is_found_is_made_small() -> None:
    """Of all numbers that must not be, the smallest is shown, once."""

    def attempt(number: int) -> None:
        if number > 1000:
            raise Found("5xx", f"sent {number}")

    tally = Tally()
    for seed in range(3):
        hold(Part("numbers", st.integers(0, 10**9), attempt), 200, seed, tally)
    fuzzed = tally.told(7)

    assert (fuzzed.own_5xx, fuzzed.other, fuzzed.examples, fuzzed.seed) == (1, 0, ("numbers: sent 1001\n(seed 7)",), 7)
    assert not fuzzed.good


def test_what_happens_only_once_is_found_too() -> None:
    """A finding that cannot be repeated is told, and that it cannot."""
    seen: list[int] = []

    def attempt(number: int) -> None:
        seen.append(number)
        if len(seen) == 20:
            raise Found("other", "it fell over")

    tally = Tally()
    hold(Part("moods", st.integers(), attempt), 50, 0, tally)

    assert tally.told(0).examples == ("moods: it fell over\n(not every time)\n(seed 0)",)


def test_nothing_tried_is_not_good() -> None:
    """Without a case nothing was shown."""
    assert not Fuzzed(0, 0, 0, (), 0).good
    assert Fuzzed(1, 0, 0, (), 0).good


def test_growth_is_seen() -> None:
    """Open files, and memory beyond what cases may leave behind."""
    first = Size(50, 300 << 20)

    assert [*Size(60, 400 << 20).outgrown(first, 1000)] == []
    assert len([*Size(150, 900 << 20).outgrown(first, 1000)]) == 2
