"""Quantiles out of buckets, and what two looks at the same histogram have between them. Any durations, any edges."""

from bisect import bisect_left
from math import ceil

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from gateway.pulse import Buckets, buckets

EDGES = st.lists(st.floats(0.001, 1e4), min_size=1, max_size=12, unique=True).map(sorted).map(tuple)
VALUES = st.lists(st.floats(0, 2e4), max_size=60)
SHARES = st.floats(0, 1)


def bucketed(edges: tuple[float, ...], values: list[float]) -> Buckets:
    """As a histogram counts them."""
    counts = [0] * (len(edges) + 1)
    for value in values:
        counts[bisect_left(edges, value)] += 1
    return Buckets(edges, tuple(counts))


@given(EDGES, VALUES.filter(bool), SHARES)
def test_a_quantile_lies_in_the_bucket_of_the_true_one(edges: tuple[float, ...], values: list[float], q: float) -> None:
    """Nothing nearer is known; what lies beyond the last edge is told as that edge."""
    true = sorted(values)[max(ceil(q * len(values)), 1) - 1]
    at = bisect_left(edges, true)
    low, high = (edges[at - 1] if at else 0.0), edges[min(at, len(edges) - 1)]

    assert low <= bucketed(edges, values).quantile(q) <= high


@given(EDGES, VALUES, SHARES, SHARES)
def test_more_lies_below_a_higher_quantile(edges: tuple[float, ...], values: list[float], a: float, b: float) -> None:
    """Never the other way round."""
    histogram = bucketed(edges, values)

    assert histogram.quantile(min(a, b)) <= histogram.quantile(max(a, b))


@given(EDGES, SHARES)
def test_of_nothing_every_quantile_is_nothing(edges: tuple[float, ...], q: float) -> None:
    """No division by what is not there."""
    assert bucketed(edges, []).quantile(q) == 0


@given(EDGES, VALUES, VALUES)
def test_what_came_since_is_what_was_seen_in_between(
    edges: tuple[float, ...], before: list[float], later: list[float]
) -> None:
    """And all of it where nothing was seen before."""
    then, now = bucketed(edges, before), bucketed(edges, before + later)

    assert now.since(then) == bucketed(edges, later)
    assert now.since(None) == now


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=9, unique=True).map(sorted), st.lists(st.integers(0, 6000)))
def test_a_metric_is_read_as_it_was_told(millis: list[int], values: list[int]) -> None:
    """Seconds as milliseconds, by its label; each count alone, not with those below."""
    histogram = Histogram("x", "x", ["verb"], buckets=[each / 1000 for each in millis], registry=CollectorRegistry())
    for value in values:
        histogram.labels("recall").observe(value / 1000)
    told = {"recall": bucketed(tuple(map(float, millis)), [*map(float, values)])} if values else {}

    assert buckets(histogram) == told
