"""Which replica a conversation goes to: always the same one, unless it is crowded or gone."""

from collections import Counter
from itertools import cycle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.upstream.rendezvous import lighter, ranked, steady

NAMES = st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=8, unique=True)
STEADY = settings(derandomize=True, deadline=None)
KEYS = st.binary(min_size=1, max_size=64)


def keys(number: int) -> list[bytes]:
    """Keys of so many conversations."""
    return [i.to_bytes(16, "big") for i in range(number)]


@STEADY
@given(KEYS, NAMES, st.data())
def test_the_order_in_which_replicas_stand_does_not_matter(key: bytes, names: list[str], data: st.DataObject) -> None:
    """Every gateway ranks them alike."""
    shuffled = data.draw(st.permutations(names))

    assert [names[i] for i in ranked(key, names)] == [shuffled[i] for i in ranked(key, shuffled)]


@STEADY
@given(KEYS, NAMES, st.data())
def test_a_replica_that_leaves_changes_nothing_among_the_others(
    key: bytes, names: list[str], data: st.DataObject
) -> None:
    """So only its own conversations move, each to the one that was next."""
    gone = data.draw(st.sampled_from(names))
    left = [name for name in names if name != gone]

    assert [left[i] for i in ranked(key, left)] == [names[i] for i in ranked(key, names) if names[i] != gone]


@pytest.mark.parametrize("count", [2, 3, 8])
def test_one_more_replica_takes_its_share_of_the_conversations(count: int) -> None:
    """About one in n, from all of the others; each of which had about as many."""
    names = [f"http://10.0.0.{i}:8000/v1" for i in range(count)]
    before = [ranked(key, names)[0] for key in keys(4000)]
    after = [ranked(key, [*names, "http://10.0.0.99:8000/v1"])[0] for key in keys(4000)]
    moved = [new for old, new in zip(before, after, strict=True) if old != new]

    assert set(moved) == {count}
    assert len(moved) == pytest.approx(4000 / (count + 1), rel=0.15)
    assert all(share == pytest.approx(4000 / count, rel=0.15) for share in Counter(before).values())


@STEADY
@given(KEYS, st.lists(st.integers(0, 500), min_size=1, max_size=8))
def test_no_replica_is_chosen_that_is_crowded(key: bytes, loads: list[int]) -> None:
    """At most four, or a quarter above the mean with this request; and it is the first in rank of whom that is true."""
    names = [str(i) for i in range(len(loads))]
    room = max(4, 1.25 * (sum(loads) + 1) / len(loads))

    chosen = steady(key, names, loads)

    order = ranked(key, names)
    assert loads[chosen] < room
    assert all(loads[i] >= room for i in order[: order.index(chosen)])


def test_a_conversation_returns_when_its_replica_is_free_again() -> None:
    """The crowd sends it to the next in rank, and only while it is there."""
    names = ["a", "b", "c"]
    home, second, _ = ranked(b"k", names)
    crowded = [0, 0, 0]
    crowded[home] = 40

    assert [steady(b"k", names, loads) for loads in ([3, 3, 3], crowded, [9, 9, 9])] == [home, second, home]


@STEADY
@given(st.lists(st.integers(0, 9), min_size=1, max_size=6), st.floats(0, 1, exclude_max=True), st.data())
def test_the_lighter_of_two_is_never_the_heaviest_alone(loads: list[int], first: float, data: st.DataObject) -> None:
    """Two different ones are drawn, so one that has more than all others is never chosen."""
    draws = cycle([first, data.draw(st.floats(0, 1, exclude_max=True))])

    chosen = lighter(loads, lambda: next(draws))

    assert len(loads) == 1 or any(loads[chosen] <= load for i, load in enumerate(loads) if i != chosen)
