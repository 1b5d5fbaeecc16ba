"""Positions beyond what a model was trained on. Inside the trained context every block keeps its own; beyond it, blocks
that lie apart from the query are moved up behind each other, as a whole, in large steps.

RoPE turns a key by an angle for each token of its position, and turning is additive: a key written at position p and
turned by d more stands at p + d (`workers.kv.turning`). So only copies of the few moved blocks are turned; the window,
most of what is read, stays as it is. StreamingLLM (arXiv 2309.17453) numbers the cache anew at each token; distances
here vary inside the trained range instead, so that a copy serves many tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from workers.kv.policies.base import Policy
from workers.kv.stream import Retained, blocks


@dataclass(frozen=True, slots=True)
class Move:
    """A block that is read as if it stood `by` tokens later (earlier, if negative)."""

    block: int
    by: int


def shift(query: int, policy: Policy, block: int, trained: int) -> int:
    """How far, in tokens, what lies apart moves up for a query in block `query`; 0 inside the trained context."""
    beyond = (query + 1) * block - trained
    kept = policy.most()
    if trained <= 0 or beyond <= 0 or kept is None:
        return 0
    step = (trained // block - kept - policy.room() - 1) * block
    return -(-beyond // step) * step


def apart(reads: Retained) -> list[int]:
    """The blocks that are read apart from the query's own run."""
    return list(blocks(reads[:-1]))


def moved(places: Sequence[int], up: int, block: int, first: int = 0) -> list[Move]:
    """The blocks `places`, put behind each other from place `first` on and moved up by `up` tokens."""
    return [Move(place, (first + at - place) * block + up) for at, place in enumerate(places)]
