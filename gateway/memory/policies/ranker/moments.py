"""Which candidates belong to the times that a question names: said then, or telling of then. Pure."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gateway.memory.policies.ranker.texts import Told
from gateway.memory.policies.times import anchor, order, spans
from gateway.memory.records import Memory, Times
from gateway.memory.words import Words, split

TIMES = ("on_day", "in_period", "of_day", "of_period")
Column = np.ndarray[Any, np.dtype[np.float64]]

_DAY = 86_400.0
_A_DAY = 3 * _DAY  # a time no longer than this means a day, give or take the clock's zone and a night
_A_PERIOD = 400 * _DAY  # what is longer, in a memory, tells no time
_SEARCHED = 40 * _DAY  # a longer period holds too much to add candidates from
_LATE = 4 * _DAY  # people tell of a month in the first days of the next one
_SURELY_THAT = 0.6  # nearness in words to the event that a question counts from


def wanted(question: str, now: float) -> Times:
    """The times that the store is to look into on its own, whatever the words say, and which end of the whole history
    is wanted."""
    found = tuple((span.start, span.end) for span in spans(question, now) if span.end - span.start <= _SEARCHED)
    return Times(tuple((start - _DAY, end + _DAY) for start, end in found), order(question))


def belonging(
    question: str, now: float, memories: Sequence[Memory], texts: Sequence[Told], words: Words
) -> dict[str, Column]:
    """Four columns of 0 and 1: said on a day that the question names, said in a longer period, and the same for what
    the memory tells of; all of them 0 when the question names no time."""
    columns = {name: np.zeros(len(memories)) for name in TIMES}
    periods = [(span.start, span.end) for span in spans(question, now)]
    periods += _counted_from_event(question, memories, texts, words)
    if not periods:
        return columns
    for i, (memory, text) in enumerate(zip(memories, texts, strict=True)):
        told = [(s.start, s.end) for s in spans(memory.text, memory.at)] if text.time else []
        for start, end in periods:
            day = end - start <= _A_DAY
            if start - (_DAY if day else 0) <= memory.at < end + (_DAY if day else _LATE):
                columns["on_day" if day else "in_period"][i] = 1.0
            if any(first < end and start < last and last - first <= _A_PERIOD for first, last in told):
                columns["of_day" if end - start <= _SEARCHED else "of_period"][i] = 1.0
    return columns


def _counted_from_event(
    question: str, memories: Sequence[Memory], texts: Sequence[Told], words: Words
) -> list[tuple[float, float]]:
    """ "Two weeks before the trip": the memory that is surely about the trip tells its date."""
    found = anchor(question)
    event = split(found.event) if found else []
    if found is None or not event:
        return []
    ids = words.ids(event)
    rarity = words.rarity(ids)
    near = rarity / rarity.sum() @ words.nearness(ids, [text.words for text in texts])
    best = int(near.argmax())
    if near[best] < _SURELY_THAT:
        return []
    memory = memories[best]
    told = spans(memory.text, memory.at)
    start, end = (told[0].start, told[0].end) if told else (memory.at, memory.at + 1)
    period = found.around(start, end)
    return [period] if period else []
