"""What an engine's signals found, gathered and cut: which points are worth reading, and in which order they are told.
Pure; knows no engine."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from gateway.memory import fuse
from gateway.memory.records import Candidate, Memory

Id = TypeVar("Id")
Scores = dict[Id, dict[str, float]]
"""Of each point the signals that found it, with their raw scores."""


def gathered(answers: Mapping[str, Iterable[tuple[Id, float]]]) -> Scores[Id]:
    """By point instead of by signal."""
    scores: Scores[Id] = {}
    for name, points in answers.items():
        for id, score in points:
            scores.setdefault(id, {})[name] = score
    return scores


def promising(scores: Scores[Id], limit: int) -> dict[Id, float]:
    """The most promising by what is known of them, and all that equal the last: the memories' ids, which decide among
    equals, are not known here."""
    if not scores:
        return {}
    signals = [*scores.values()]
    promises = fuse.promise([fuse.column(signals, name) for name in fuse.SIGNALS]).tolist()
    floor = sorted(promises, reverse=True)[:limit][-1]
    return {id: promise for id, promise in zip(scores, promises, strict=True) if promise >= floor}


def candidates(
    promises: Mapping[Id, float], beside: Sequence[Id], read: Mapping[Id, Memory], scores: Scores[Id], limit: int
) -> list[Candidate]:
    """The `limit` most promising, best first, of equals the lower memory ids; then what is told `beside` them. A point
    that could not be `read`, or was gone before it was scored, is left out."""
    ranked = sorted((id for id in promises if id in read), key=lambda id: (-promises[id], read[id].id))[:limit]
    chosen = dict.fromkeys([*ranked, *(id for id in beside if id in read and id in scores)])
    return [Candidate(read[id], scores[id]) for id in chosen]
