"""How good a remembered turn is as evidence for a question. Pure: four signals and the texts in, verdicts out.

Three linear steps: a score orders the candidates; a gate asks whether memory can help this question at all; a cut drops
the candidates that are unlikely to be evidence. Never knows which store found a candidate.
"""

import math
import re
import string
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from gateway.memory import lexical
from gateway.memory.block import worthwhile
from gateway.memory.records import Candidate, Hit, Memory

SIGNALS = ("dense_turn", "dense_near", "bm25_turn", "bm25_near")
Column = np.ndarray[Any, np.dtype[np.float64]]

_READ = 60  # candidates whose text is looked at: the best by the sum of their standard scores
_JUDGED = 60  # candidates that may pass the cut, as in the fit of its weights
_NEW_WORDS, _LONG_REPLY = 0.25, 400  # share of words that the question lacks; characters
_FEW = 20  # among fewer candidates a bystander would look like evidence by being one of few
_SAME_WORDS = 4  # more shared words than these say nothing new
_REACH = 2  # turns on either side whose words count as said around a turn

_TO_SPACES = str.maketrans(dict.fromkeys(set(string.punctuation) - {"'"}, " "))
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]+")
_SPEAKER = re.compile(r"(\w[\w.'-]*)(?: [\w.'-]+){0,2}: ")
_ATTACHED = re.compile(r"\s*\[[^\]]*\]\s*$")
_ASKS_WHEN = re.compile(r"(?i)\s*when\b|.*\b(?:what date|how long)\b")
_FIRST_PERSON = frozenset({"i", "my", "i'm", "i've", "we", "our"})
_TIME_WORDS = (
    "yesterday today tonight tomorrow last next ago week weekend month year monday tuesday wednesday thursday friday"
    " saturday sunday january february march april may june july august september october november december since"
    " recently morning"
)
_TIMES = frozenset(_TIME_WORDS.split())


@dataclass(frozen=True, slots=True)
class Weights:
    """Every number of the ranker. Fitted by softmax (order) and logistic regression (gate, cut) on five conversations
    of LoCoMo (Maharana et al. 2024), each step on four of them and checked on the fifth in turn; gate and cut on scopes
    cut down to 4 … 700 turns, against questions of other conversations and questions about the world at large."""

    # order: per standard deviation of a signal, or per occurrence
    dense_near: float = 0.33
    bm25_turn: float = 0.27
    bm25_near: float = 0.42
    session: float = 0.14  # the best sum of the four signals in the same session
    speaker: float = 0.51  # + for turns of a speaker whom the question names, − for others'
    answers: float = 0.34  # the turn before asks something
    answers_it: float = 0.25  # … and is itself like the question
    asks: float = -0.76
    time: float = 0.59
    time_wanted: float = 1.67
    first_person: float = 0.78
    name: float = 0.38
    # gate: log-odds that anything here helps; cosines, a share of the question's words, words, ln(candidates)
    gate: tuple[float, ...] = (-6.74, 11.65, 9.7, 3.58, 0.8, -1.43)
    gate_odds: float = math.log(0.2 / 0.8)
    # cut: log-odds that a candidate is evidence; cosines, shares of words (own, around), lead, ln(candidates)
    cut: tuple[float, ...] = (-0.29, 2.34, 0.71, 3.52, -2.49, 0.83, -1.43)
    cut_odds: float = math.log(0.006 / 0.994)


class _Text(NamedTuple):
    """What a turn's words show by themselves. `terms` are stemmed, without stop words."""

    asks: bool
    time: bool
    first_person: bool
    names: int
    speaker: str
    terms: frozenset[int]


def judge(question: str, candidates: Sequence[Candidate], weights: Weights) -> list[Hit]:
    """The most promising candidates as hits, best first; `dropped` tells why one must not enter the prompt."""
    asked = lexical.terms(question)
    told = [c for c in candidates if not _tells_nothing(c.memory, asked)]
    if not told:
        return []
    raw = {signal: _column(told, signal) for signal in SIGNALS}
    standard = {signal: _standard(column) for signal, column in raw.items()}
    promise = sum(standard.values(), np.zeros(len(told)))
    read = [int(i) for i in np.argsort(-promise, kind="stable")[:_READ]]
    read.sort(key=lambda i: (told[i].memory.session, told[i].memory.seq, told[i].memory.id))
    memories = [told[i].memory for i in read]
    texts = [_look(memory.text) for memory in memories]
    score = _order(question, memories, texts, {s: column[read] for s, column in standard.items()}, weights)
    seen = {s: column[read] for s, column in raw.items()}
    reasons = _dropped(asked, memories, texts, seen, score, weights, len(told))
    hits = [
        Hit(memory, round(float(points), 4), told[i].signals, reason)
        for i, memory, points, reason in zip(read, memories, score, reasons, strict=True)
    ]
    return sorted(hits, key=lambda hit: (-hit.score, hit.memory.id))


def _tells_nothing(memory: Memory, asked: frozenset[int]) -> bool:
    """A turn that only asked the same before. Whoever asks often would otherwise recall questions, not answers."""
    if not memory.text.endswith("?") or len(memory.reply) > _LONG_REPLY:
        return False
    told = f"{memory.text} {memory.reply}" if worthwhile(memory.reply) else memory.text
    terms = lexical.terms(told)
    return len(terms - asked) <= _NEW_WORDS * len(terms)


def _column(candidates: Sequence[Candidate], signal: str) -> Column:
    """Raw scores; a candidate that the signal did not find counts as its lowest, or as 0 where no word is shared."""
    found = [c.signals[signal] for c in candidates if signal in c.signals]
    floor = 0.0 if signal.startswith("bm25") else min(found, default=0.0)
    return np.array([c.signals.get(signal, floor) for c in candidates], float)


def _standard(column: Column) -> Column:
    spread = float(column.std())
    standard: Column = (column - column.mean()) / (spread if spread > 1e-9 else 1.0)
    return standard


def _look(text: str) -> _Text:
    words = _words(text)
    speaker = _SPEAKER.match(text)
    return _Text(
        asks=text.endswith("?") or (text.endswith("]") and _ATTACHED.sub("", text).endswith("?")),
        time=not _TIMES.isdisjoint(words),
        first_person=not _FIRST_PERSON.isdisjoint(words),
        names=min(len(_NAME.findall(text)), 3),
        speaker=speaker[1].lower() if speaker else "",
        terms=lexical.terms(text),
    )


def _words(text: str) -> frozenset[str]:
    return frozenset(text.lower().translate(_TO_SPACES).split())


def _order(
    question: str, memories: Sequence[Memory], texts: Sequence[_Text], standard: dict[str, Column], weights: Weights
) -> Column:
    total = sum(standard.values(), np.zeros(len(memories)))
    best = {s: max(total[i] for i in places) for s, places in _by_session(memories)}
    asked = _words(question)
    named = {text.speaker for text in texts if text.speaker} & asked
    wants_time = bool(_ASKS_WHEN.match(question))
    score: Column = np.zeros(len(memories))
    for i, (memory, text) in enumerate(zip(memories, texts, strict=True)):
        follows = i > 0 and memories[i - 1].session == memory.session and texts[i - 1].asks
        score[i] = (
            weights.session * best[memory.session]
            + weights.speaker * _sign(text.speaker, named)
            + follows * (weights.answers + weights.answers_it * standard["bm25_turn"][i - 1])
            + weights.asks * text.asks
            + text.time * (weights.time + weights.time_wanted * wants_time)
            + weights.first_person * text.first_person
            + weights.name * text.names
        )
    for weight, signal in zip((weights.dense_near, weights.bm25_turn, weights.bm25_near), SIGNALS[1:], strict=True):
        score = score + weight * standard[signal]
    return score


def _dropped(
    asked: frozenset[int],
    memories: Sequence[Memory],
    texts: Sequence[_Text],
    raw: dict[str, Column],
    score: Column,
    weights: Weights,
    found: int,
) -> list[str]:
    """Per memory "" or the reason why it stays out; `found` is how many candidates there were in all."""
    own = [len(asked & text.terms) for text in texts]
    around = _around(memories, texts, asked)
    share = 1 / max(len(asked), 1)
    dense, near = raw["dense_turn"], raw["dense_near"]
    size = math.log(found)
    help_odds = _odds(weights.gate, dense.max(), near.max(), max(around) * share, min(max(around), _SAME_WORDS), size)
    if help_odds < weights.gate_odds:
        return ["nothing here helps"] * len(memories)
    judged = np.argsort(-score, kind="stable")[:_JUDGED]
    lead = score - score[judged].mean()
    size = math.log(max(len(judged), _FEW))
    reasons = ["weak evidence"] * len(memories)
    for i in judged:
        if _odds(weights.cut, dense[i], near[i], own[i] * share, around[i] * share, lead[i], size) >= weights.cut_odds:
            reasons[i] = ""
    return reasons


def _around(memories: Sequence[Memory], texts: Sequence[_Text], asked: frozenset[int]) -> list[int]:
    """How many of the question's words stand in each turn or in the turns around it, as far as they were found."""
    found = [0] * len(memories)
    for _, places in _by_session(memories):
        shared = [asked & texts[i].terms for i in places]
        for at, i in enumerate(places):
            found[i] = len(frozenset().union(*shared[max(at - _REACH, 0) : at + _REACH + 1]))
    return found


def _by_session(memories: Sequence[Memory]) -> list[tuple[str, list[int]]]:
    """Session → places of its memories, which stand together and in the order they were said."""
    return [(s, [*places]) for s, places in groupby(range(len(memories)), key=lambda i: memories[i].session)]


def _sign(speaker: str, named: set[str]) -> int:
    return (1 if speaker in named else -1) if speaker and named else 0


def _odds(weights: tuple[float, ...], *values: float) -> float:
    return weights[0] + sum(w * x for w, x in zip(weights[1:], values, strict=True))
