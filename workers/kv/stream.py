"""What is known of one request's context when a policy decides. Blocks and tokens are counted from 0; holds no
tensor."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

Retained = tuple[range, ...]
"""Blocks in ascending runs that neither touch nor overlap."""


@dataclass(frozen=True, slots=True)
class Stream:
    """`live` runs are the blocks still held (None: all); `vision` runs hold image or video tokens; `surprise` is each
    scored block's mean −log p, already decayed; `prompt` is the prompt's length in tokens."""

    live: Retained | None = None
    vision: Retained = ()
    surprise: Mapping[int, float] = field(default_factory=dict)
    prompt: int = 0


NOTHING_KNOWN = Stream()


def runs(blocks: Iterable[int]) -> Retained:
    """Ascending, distinct block numbers as runs."""
    found: list[range] = []
    for block in blocks:
        if found and found[-1].stop == block:
            found[-1] = range(found[-1].start, block + 1)
        else:
            found.append(range(block, block + 1))
    return tuple(found)


def joined(parts: Sequence[range]) -> Retained:
    """Runs given in ascending order of their start, which may be empty, touch or overlap, as runs that do not."""
    found: list[range] = []
    for part in parts:
        if not part:
            continue
        if found and part.start <= found[-1].stop:
            found[-1] = range(found[-1].start, max(found[-1].stop, part.stop))
        else:
            found.append(part)
    return tuple(found)


def within(retained: Retained, low: int, high: int) -> Retained:
    """The part of the runs in [low, high)."""
    return joined([range(max(part.start, low), min(part.stop, high)) for part in retained])


def blocks(retained: Retained) -> Iterator[int]:
    """Every block of the runs."""
    for part in retained:
        yield from part


def count(retained: Retained) -> int:
    """How many blocks the runs hold."""
    return sum(len(part) for part in retained)
