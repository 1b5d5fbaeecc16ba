"""Scores of different units, made comparable and summed."""

import numpy as np
import pytest

from gateway.memory.fuse import column, promise, shortlist, standard


def test_what_a_signal_did_not_find_counts_as_its_lowest() -> None:
    """A cosine that is not known is no better than the worst that is."""
    assert column([{"dense_near": 0.5}, {}, {"dense_near": 0.25}], "dense_near").tolist() == [0.5, 0.25, 0.25]


def test_what_shares_no_word_counts_as_nothing() -> None:
    """However many words the worst that was found shares."""
    assert column([{"bm25_turn": 3.0}, {}, {"bm25_turn": 2.0}], "bm25_turn").tolist() == [3.0, 0.0, 2.0]


@pytest.mark.parametrize("name", ["dense_turn", "bm25_near"])
def test_a_signal_that_found_nothing_says_nothing(name: str) -> None:
    """All are equal to it."""
    assert column([{}, {}], name).tolist() == [0.0, 0.0]


def test_a_column_is_counted_from_its_mean_in_its_own_spread() -> None:
    """So that signals of different units weigh the same."""
    assert standard(np.array([1.0, 2.0, 3.0])) == pytest.approx([-(1.5**0.5), 0, 1.5**0.5])
    assert standard(np.array([10.0, 20.0, 30.0])) == pytest.approx(standard(np.array([1.0, 2.0, 3.0])))


@pytest.mark.parametrize("values", [[], [0.7], [0.1 + 0.2, 0.3, 0.3]])
def test_without_spread_there_is_no_difference(values: list[float]) -> None:
    """Neither a division by nothing, nor rounding taken for a judgement."""
    assert standard(np.array(values)).tolist() == [0.0] * len(values)


def test_the_promise_is_the_sum() -> None:
    """Two signals that contradict each other cancel out."""
    assert promise([np.array([1.0, 2.0]), np.array([4.0, 3.0])]).tolist() == [0.0, 0.0]
    assert promise([np.array([1.0, 2.0]), np.array([3.0, 4.0])]).tolist() == [-2.0, 2.0]


def test_the_shortlist_has_the_most_promising_first() -> None:
    """Of equals the one with the lower id."""
    assert shortlist(np.array([0.0, 2.0, 1.0, 1.0]), ["a", "b", "d", "c"], 3) == [1, 3, 2]
    assert shortlist(np.array([0.0]), ["a"], 3) == [0]
    assert shortlist(np.array([]), [], 3) == []
