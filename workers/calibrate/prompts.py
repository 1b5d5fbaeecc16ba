"""Prompts that hide something and then ask for it: what a retrieving head reads, and where. Pure; knows no model.

As in DuoAttention's training data (arXiv 2410.10819) random words lie in a filler, and all are said again at the end. A
model that goes on with what it has begun to repeat must have read it far back, where neither sinks nor window reach. A
model that has learned to answer can be asked for a pass key instead.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from workers.kv.errors import PolicyRefused

KEY = "{key}"
"""Where a text has its pass key."""

_DIGITS = 5


@dataclass(frozen=True, slots=True)
class Hidden:
    """Tokens that are `said` early and asked for at the end; of the tokens `again` there, those in `answer` can only be
    known from what was said."""

    said: list[int]
    again: list[int]
    answer: range


@dataclass(frozen=True, slots=True)
class Shape:
    """Lengths in tokens. What is hidden lies behind `sink`, and `window` before the first token that asks for it."""

    length: int
    sink: int
    window: int


@dataclass(frozen=True, slots=True)
class Prompt:
    """`asked` are the positions whose next token is to be known; `spans`, one for each, is where it must be read."""

    tokens: list[int]
    asked: list[int]
    spans: list[range]


def words(chance: random.Random, known: Sequence[int], number: int) -> Hidden:
    """So many random words, said again; the first one cannot be known."""
    drawn = [chance.choice(known) for _ in range(number)]
    return Hidden(drawn, drawn, range(1, number))


def passkey(chance: random.Random, encode: Callable[[str], list[int]], needle: str, question: str) -> Hidden:
    """A key of single digits in the texts `needle` and `question`, both with a KEY in it; PolicyRefused otherwise."""
    for text in (needle, question):
        if KEY not in text:
            raise PolicyRefused(f"{text!r} does not say where its pass key stands: {KEY} in both texts would.")
    key = " ".join(chance.choices("0123456789", k=_DIGITS))
    before = question.partition(KEY)[0]
    again = encode(before + key)
    return Hidden(encode(needle.replace(KEY, key)), again, range(len(encode(before.rstrip())), len(again)))


def prompt(
    shape: Shape, hidden: Sequence[Hidden], filler: Sequence[int], first: int | None, chance: random.Random
) -> Prompt:
    """A prompt of exactly `shape`, what is hidden at random depths in an excerpt of `filler`, which is gone through
    again where it is too short. `first` is the token that begins every text, if there is one. PolicyRefused, with a
    length that works, where there is no room."""
    head = max(1, shape.sink)
    least = head + shape.window + sum(len(each.said) + len(each.again) for each in hidden)
    spare = shape.length - least
    if spare < 0:
        raise PolicyRefused(
            f"A prompt of {shape.length} tokens has no room for sinks, window and what is hidden: --length {least} has."
        )
    start = chance.randrange(len(filler))
    text = iter([filler[(start + at) % len(filler)] for at in range(shape.length)])
    cuts = sorted(chance.randint(0, spare) for _ in hidden)
    tokens = [next(text) for _ in range(head)]
    if first is not None:
        tokens[0] = first
    places = []
    for each, gap in zip(hidden, _gaps(cuts), strict=True):
        tokens += [next(text) for _ in range(gap)]
        places.append(range(len(tokens), len(tokens) + len(each.said)))
        tokens += each.said
    tokens += [next(text) for _ in range(spare - cuts[-1] + shape.window)]
    asked: list[int] = []
    spans: list[range] = []
    for each, place in zip(hidden, places, strict=True):
        asked += (len(tokens) + at - 1 for at in each.answer)
        spans += [place] * len(each.answer)
        tokens += each.again
    return Prompt(tokens, asked, spans)


def _gaps(cuts: Sequence[int]) -> list[int]:
    return [cut - before for before, cut in zip([0, *cuts], cuts, strict=False)]
