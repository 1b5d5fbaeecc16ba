"""KV policies of every kind, with drawn knobs, and streams that they may be asked about. Knows no engine."""

from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from hypothesis import strategies as st

from workers.kv.choice import Choice, chosen, kind
from workers.kv.knobs import Knobs
from workers.kv.policies.base import Policy
from workers.kv.stream import Retained, Stream, blocks, runs

LONGEST = 48
"""Blocks in the longest stream that is drawn."""

BLOCKS = st.sampled_from([16, 32, 64])
HEADS = st.dictionaries(st.integers(0, 3), st.sets(st.integers(0, 3)).map(tuple), max_size=4)


def knob(name: str, block: int) -> st.SearchStrategy[Any]:
    """Values that the knob may have on an engine with blocks of so many tokens."""
    drawn: dict[str, st.SearchStrategy[Any]] = {
        "sink": st.integers(0, 6 * block),
        "window": st.integers(1, 8).map(lambda number: number * block),
        "budget": st.integers(1, 6 * block),
        "decay": st.floats(0.1, 1),
        "turn_token": st.none() | st.integers(0, 9),
        "heads": HEADS,
        "mass": st.floats(0.1, 1),
        "vision_window": st.integers(0, 8).map(lambda number: number * block),
        "vision_tokens": st.lists(st.integers(0, 9), min_size=1, max_size=3).map(tuple),
    }
    for part in get_args(Knobs.model_fields[name].annotation):
        if get_origin(part) is Literal:
            return st.sampled_from(get_args(part))
    return drawn[name]


@st.composite
def choices(draw: st.DrawFn, name: str, block: int) -> Choice:
    """The policy of this name with every knob drawn."""
    return chosen(name, {each: draw(knob(each, block)) for each in kind(name).KNOBS})


@dataclass(frozen=True)
class Asked:
    """A policy, and a question for it."""

    choice: Choice
    block: int
    policy: Policy
    query: int
    stream: Stream

    @property
    def retained(self) -> Retained:
        """The policy's answer."""
        return self.policy.retained(self.query, self.stream)

    @property
    def kept(self) -> set[int]:
        """Its blocks."""
        return set(blocks(self.retained))

    def knob(self, name: str) -> int:
        """A length, in blocks."""
        return -(-(getattr(self.choice.knobs, name) or 0) // self.block)


@st.composite
def streams(draw: st.DrawFn, block: int) -> Stream:
    """Vision anywhere, scores for some, some blocks gone already."""
    some = st.sets(st.integers(0, LONGEST)).map(lambda found: runs(sorted(found)))
    return Stream(
        live=draw(st.none() | some),
        vision=draw(some),
        surprise=draw(st.dictionaries(st.integers(0, LONGEST), st.integers(0, 40).map(lambda tenths: tenths / 10))),
        prompt=draw(st.integers(1, (LONGEST + 1) * block)),
    )


@st.composite
def asked(draw: st.DrawFn, name: str) -> Asked:
    """A question for the policy of this name."""
    block = draw(BLOCKS)
    choice = draw(choices(name, block))
    return Asked(choice, block, choice.policy(block), draw(st.integers(0, LONGEST)), draw(streams(block)))
