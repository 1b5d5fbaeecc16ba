"""Runs of blocks are sets of numbers, written short."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from workers.kv.stream import NOTHING_KNOWN, Retained, blocks, count, joined, runs, within

SETS = st.sets(st.integers(0, 40))
PARTS = st.lists(st.builds(range, st.integers(0, 40), st.integers(0, 40))).map(
    lambda parts: sorted(parts, key=lambda part: part.start)
)


def plain(retained: Retained) -> bool:
    """Whether the runs ascend and neither touch nor overlap."""
    return all(retained) and all(one.stop < other.start for one, other in pairwise(retained))


@given(SETS)
def test_numbers_as_runs_are_the_same_numbers(numbers: set[int]) -> None:
    """In order, in as few runs as can be."""
    found = runs(sorted(numbers))

    assert plain(found)
    assert list(blocks(found)) == sorted(numbers)
    assert count(found) == len(numbers)


@given(PARTS)
def test_parts_that_overlap_or_touch_are_joined(parts: list[range]) -> None:
    """Also where one lies inside another, or is empty."""
    found = joined(parts)

    assert plain(found)
    assert list(blocks(found)) == sorted({block for part in parts for block in part})


@given(SETS, st.integers(0, 40), st.integers(0, 40))
def test_a_part_of_the_runs_is_what_lies_in_it(numbers: set[int], low: int, high: int) -> None:
    """The upper end is not in it; between ends that are the wrong way round is nothing."""
    found = within(runs(sorted(numbers)), low, high)

    assert plain(found)
    assert set(blocks(found)) == {block for block in numbers if low <= block < high}


def test_nothing_known_is_everything_live() -> None:
    """A new request: no block given back, no vision, no score."""
    assert NOTHING_KNOWN.live is None
    assert (NOTHING_KNOWN.vision, dict(NOTHING_KNOWN.surprise), NOTHING_KNOWN.prompt) == ((), {}, 0)
