"""Where keys are read beyond the trained context: behind each other, before the query's own run, and never farther off
than in training."""

from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.kv import Asked, asked
from workers.kv.choice import kind
from workers.kv.policies import TABLE
from workers.kv.positions import Move, apart, moved, shift
from workers.kv.stream import blocks

BOUNDED = [name for name in TABLE if name not in ("full", "duo")]
POSITIONAL = [name for name in BOUNDED if kind(name).POSITIONAL]


def fitting(case: Asked, data: st.DataObject) -> int:
    """A trained length in tokens, any that the policy is admitted with."""
    least = (case.policy.most() or 0) + case.policy.room() + 2
    return data.draw(st.integers(least * case.block, (least + 30) * case.block))


@pytest.mark.parametrize("name", TABLE)
@given(st.data())
def test_nothing_moves_inside_the_trained_context(name: str, data: st.DataObject) -> None:
    """Also not where the length of training is unknown."""
    case = data.draw(asked(name))
    trained = (case.query + 1) * case.block + data.draw(st.integers(0, 1000))

    assert shift(case.query, case.policy, case.block, trained) == 0
    assert shift(case.query, case.policy, case.block, 0) == 0


@pytest.mark.parametrize("name", BOUNDED)
@given(st.data())
def test_what_lies_apart_moves_in_whole_steps(name: str, data: st.DataObject) -> None:
    """Whole blocks at least, always forward, and a step is at most a trained context: a copy serves many tokens."""
    case = data.draw(asked(name))
    trained = fitting(case, data)
    ups = [shift(query, case.policy, case.block, trained) for query in range(200)]
    steps = {later - before for before, later in pairwise(ups)} - {0}

    assert len(steps) == 1
    assert 0 < min(steps) <= trained
    assert all(up % min(steps) == 0 and min(steps) % case.block == 0 for up in ups)


@pytest.mark.parametrize("name", [*POSITIONAL, "surprisal"])
@given(st.data())
def test_no_distance_is_longer_than_in_training(name: str, data: st.DataObject) -> None:
    """From any token of the query's block to any key, moved or not; the order stays, and nothing stands twice."""
    case = data.draw(asked(name))
    trained, size = fitting(case, data), case.block
    query = case.query + data.draw(st.integers(0, 3)) * trained // size
    read = case.policy.retained(query, case.stream)
    up = shift(query, case.policy, size, trained)
    assume(up)
    there = moves(case, query, up, data)
    starts = [move.block * size + move.by for move in there] + [block * size for block in blocks(read[-1:])]

    assert all(later >= before + size for before, later in pairwise(starts))
    assert (query + 1) * size - 1 - starts[0] < trained
    assert starts[-1] == query * size


def moves(case: Asked, query: int, up: int, data: st.DataObject) -> list[Move]:
    """What is read elsewhere: what lies apart, then any of the absent blocks, as many as there is room for."""
    places = apart(case.policy.retained(query, case.stream))
    absent = case.policy.absent(query, case.stream)
    some = (
        st.sets(st.integers(absent.start, absent.stop - 1), max_size=case.policy.room()) if absent else st.just(set())
    )
    back = sorted(data.draw(some))
    return [*moved(places, up, case.block), *moved(back, up, case.block, len(places))]


@given(st.sets(st.integers(0, 500)), st.integers(0, 1000), st.integers(0, 20), st.sampled_from([16, 32]))
def test_moved_blocks_stand_behind_each_other(places: set[int], up: int, first: int, block: int) -> None:
    """In their order, without a gap, from the place that was asked for."""
    there = moved(sorted(places), up, block, first)

    assert [move.block for move in there] == sorted(places)
    assert [move.block * block + move.by for move in there] == [up + (first + at) * block for at in range(len(there))]
