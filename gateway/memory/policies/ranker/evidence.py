"""What speaks for each candidate, as columns of numbers. Pure; never knows a weight, nor which store found it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from gateway.memory import fuse, lexical
from gateway.memory.policies.ranker import moments
from gateway.memory.policies.ranker.texts import Asked, Told, asked, tells_nothing, told
from gateway.memory.policies.times import order
from gateway.memory.records import Candidate, Memory
from gateway.memory.words import Ids, Matrix, Words

Column = np.ndarray[Any, np.dtype[np.float64]]

_FEW = 20  # among fewer candidates a bystander would look like evidence by being one of few
_REACH = 2  # turns on either side whose words count as said around a turn
_MOST_NAMES = 2
_AN_END = 5  # turns, where a question wants the first or last that was said and nothing else


@dataclass(frozen=True, slots=True)
class Evidence:
    """Candidates in the order they were said, session by session.

    `order` has the columns of the score, each of one number per candidate. `gate` has what tells whether anything here
    can help the question, `cut` a row for each of what tells whether a candidate can; both are in the order of the
    weights' fields. `alone` marks candidates that enter whatever the weights say, because the question is about nothing
    but a time, or all False.
    """

    candidates: tuple[Candidate, ...]
    order: Mapping[str, Column]
    gate: tuple[float, ...]
    cut: Column
    alone: np.ndarray[Any, np.dtype[np.bool_]]


Read = Callable[[Memory], Told]


def examine(
    question: str, candidates: Sequence[Candidate], now: float, words: Words, read: Read | None = None
) -> Evidence | None:
    """Everything that the ranker looks at; None where no candidate tells anything. `read` is how to get at what a
    memory's text shows, for who has it already."""
    terms = lexical.terms(question)
    useful = [c for c in candidates if not tells_nothing(c.memory, terms)]
    if not useful:
        return None
    useful.sort(key=lambda c: (c.memory.session, c.memory.seq, c.memory.id))
    memories = [candidate.memory for candidate in useful]
    texts = [told(memory.text, words) if read is None else read(memory) for memory in memories]
    wants = asked(question)
    signals = [candidate.signals for candidate in useful]
    raw = {signal: fuse.column(signals, signal) for signal in fuse.SIGNALS}
    near = _nearness(wants, memories, texts, words)
    times = moments.belonging(question, now, memories, texts, words)
    dense = raw["dense_turn"]
    return Evidence(
        candidates=tuple(useful),
        order=_order(question, wants, memories, texts, raw, near) | times,
        gate=_gate(words.ids([*wants.names]), texts, raw, near),
        cut=np.stack([dense, *near, np.full(len(useful), math.log(max(len(useful), _FEW)))]),
        alone=_alone(question, wants, memories, times),
    )


def _nearness(wants: Asked, memories: Sequence[Memory], texts: Sequence[Told], words: Words) -> tuple[Column, Column]:
    """How near the question's words are to each turn's own, and to those of the turns around it as far as they were
    found; each word as much as it is rare. A speaker's name is no word of the question: he says everything."""
    speakers = {text.speaker for text in texts}
    telling = [word for word in wants.words if word not in speakers] or list(wants.words)
    if not telling:
        return np.zeros(len(texts)), np.zeros(len(texts))
    ids = words.ids(telling)
    rarity = words.rarity(ids)
    near = words.nearness(ids, [text.words for text in texts])
    return _mean(rarity, near), _mean(rarity, _around(near, _sessions(memories)))


def _mean(weights: Matrix, rows: Matrix) -> Column:
    mean: Column = (weights / weights.sum() @ rows).astype(float)
    return mean


def _sessions(memories: Sequence[Memory]) -> Column:
    """A running number of each memory's session."""
    sizes = [len([*group]) for _, group in groupby(memories, key=lambda memory: memory.session)]
    return np.repeat(np.arange(len(sizes), dtype=float), sizes)


def _around(rows: Matrix, sessions: Column) -> Matrix:
    """Each column's greatest values within its reach in the same session."""
    greatest = rows.copy()
    for distance in range(1, min(_REACH, rows.shape[1] - 1) + 1):
        same = sessions[distance:] == sessions[:-distance]
        before, after = rows[:, :-distance], rows[:, distance:]
        greatest[:, distance:] = np.where(same, np.maximum(greatest[:, distance:], before), greatest[:, distance:])
        greatest[:, :-distance] = np.where(same, np.maximum(greatest[:, :-distance], after), greatest[:, :-distance])
    return greatest


def _order(
    question: str,
    wants: Asked,
    memories: Sequence[Memory],
    texts: Sequence[Told],
    raw: Mapping[str, Column],
    near: tuple[Column, Column],
) -> dict[str, Column]:
    sessions = _sessions(memories)
    standard = dict(zip(raw, fuse.standard(np.stack([*raw.values()])), strict=True))
    starts = np.flatnonzero(np.diff(sessions, prepend=-1.0))
    best = np.maximum.reduceat(sum(standard.values(), np.zeros(len(memories))), starts)
    asks = np.array([text.asks for text in texts], float)
    follows = np.zeros(len(memories))
    follows[1:] = (sessions[1:] == sessions[:-1]) * asks[:-1]
    time = np.array([text.time for text in texts], float)
    named = {text.speaker for text in texts if text.speaker} & wants.all
    lateness = fuse.standard(np.argsort(_line(memories)).astype(float))
    end = order(question)
    return {
        "dense_near": standard["dense_near"],
        "bm25_near": standard["bm25_near"],
        "words": fuse.standard(near[0]),
        "words_near": fuse.standard(near[1]),
        "session": best[sessions.astype(int)],
        "speaker": np.array([_sign(text.speaker, named) for text in texts], float),
        "answers": follows,
        "answers_it": follows * np.roll(standard["bm25_turn"], 1),
        "asks": asks,
        "time": time,
        "time_wanted": time * wants.wants_time,
        "first_person": np.array([text.first_person for text in texts], float),
        "name": np.array([text.names for text in texts], float),
        "end": lateness * {"first": -1.0, "last": 1.0, "": 0.0}[end],
    }


def _sign(speaker: str, named: set[str]) -> int:
    return (1 if speaker in named else -1) if speaker and named else 0


def _gate(
    names: Ids, texts: Sequence[Told], raw: Mapping[str, Column], near: tuple[Column, Column]
) -> tuple[float, ...]:
    known = (names[:, None] == np.concatenate([text.words for text in texts])).any(axis=1)
    return (
        float(raw["dense_turn"].max()),
        float(raw["dense_near"].max()),
        float(near[0].max()),
        float(near[1].max()),
        math.log(len(texts)),
        float(min(int((~known).sum()), _MOST_NAMES)),
    )


def _alone(
    question: str, wants: Asked, memories: Sequence[Memory], times: Mapping[str, Column]
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Who belongs to the time that the question is about, if it is about nothing else."""
    alone = np.zeros(len(memories), bool)
    if not wants.only_time:
        return alone
    alone |= (times["on_day"] + times["in_period"] + times["of_day"]) > 0
    end = order(question)
    if end and not alone.any():
        line = _line(memories)
        alone[line[:_AN_END] if end == "first" else line[-_AN_END:]] = True
    return alone


def _line(memories: Sequence[Memory]) -> Ids:
    """Places of the memories, the earliest first."""
    line: Ids = np.lexsort(([memory.seq for memory in memories], [memory.at for memory in memories]))
    return line
