"""What the board tells a layer to read, step by step: never farther off than the model was trained on."""

import random
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.kv import BLOCKS, choices
from workers.kv.choice import Choice
from workers.kv.compaction import Piece
from workers.kv.policies import TABLE
from workers.kv.positions import apart, moved
from workers.kv.stream import Stream, blocks, runs
from workers.vllm_plugin.board import BOARD
from workers.vllm_plugin.spec import PolicySpec
from workers.vllm_plugin.step import Plan, Step


def spec(choice: Choice, block: int, trained: int) -> PolicySpec:
    """A layer under the choice."""
    return PolicySpec(
        block_size=block,
        num_kv_heads=2,
        head_size=8,
        dtype=torch.float32,
        sliding_window=1 << 20,
        policy=choice.policy(block),
        trained=trained,
    )


def starts_of(piece: Piece, block: int) -> list[int]:
    """Where its keys' blocks are read, in tokens."""
    places = apart(piece.reads) if piece.up else []
    there = [move.block * block + move.by for move in moved(places, piece.up, block)]
    return there + [at * block for at in list(blocks(piece.reads))[len(places) :]]


@pytest.mark.parametrize("name", [name for name in TABLE if name not in ("full", "duo")])
@given(st.data())
@settings(deadline=None, derandomize=True, max_examples=30)
def test_no_step_reads_farther_than_the_training(name: str, data: st.DataObject) -> None:
    """However many tokens a step brings: keys in order, none behind its query, none farther off than in training."""
    block = data.draw(BLOCKS)
    choice = data.draw(choices(name, block))
    policy = choice.policy(block)
    trained = ((policy.most() or 0) + policy.room() + 2 + data.draw(st.integers(0, 20))) * block
    start = data.draw(st.integers(0, 4 * trained))
    stop = start + data.draw(st.integers(1, 2 * trained))
    stream = _before(policy, start // block, random.Random(data.draw(st.integers(0, 1 << 30))))
    BOARD.begin(Step("key", 1, {"r": Plan(None, stream)}), lambda: ["r"])
    pieces = BOARD.pieces(spec(choice, block, trained), [0, stop - start], [stop]) or []
    BOARD.end()

    assert [pieces[0].start, *(piece.stop for piece in pieces)] == [start, *(piece.start for piece in pieces[1:]), stop]
    for piece in pieces:
        keys = starts_of(piece, block)
        assert all(later >= before + block for before, later in pairwise(keys))
        assert keys[-1] == (piece.stop - 1) // block * block
        assert piece.stop - 1 - keys[0] < trained


def _before(policy: Any, query: int, chance: random.Random) -> Stream:
    """What is live when a step begins in this block, after a stream of one-block steps with scores by chance."""
    surprise = {at: chance.random() for at in range(query) if chance.random() < 0.7}
    vision = runs(at for at in range(query) if chance.random() < 0.3)
    live: tuple[range, ...] = ()
    for at in range(query + 1):
        known = Stream(runs([*blocks(live), at]), vision, surprise)
        live = policy.retained(at, known)
    return Stream(None if policy.POSITIONAL else live, vision, surprise)
