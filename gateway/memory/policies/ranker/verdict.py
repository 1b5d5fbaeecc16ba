"""From evidence to verdicts, in three linear steps. Pure.

A score orders the candidates; a gate asks whether memory can help this question at all; a cut drops the candidates that
are unlikely to be evidence, and the more of them the less sure the gate was.
"""

import math
from collections.abc import Sequence

import numpy as np

from gateway.memory.policies.ranker.evidence import Column, Evidence, Read, examine
from gateway.memory.policies.ranker.moments import TIMES
from gateway.memory.policies.ranker.weights import Order, Weights
from gateway.memory.records import Candidate, Hit
from gateway.memory.words import Words


def judge(
    question: str,
    candidates: Sequence[Candidate],
    weights: Weights,
    now: float,
    words: Words,
    read: Read | None = None,
) -> list[Hit]:
    """The candidates that tell something as hits, best first; `dropped` tells why one must not enter the prompt."""
    evidence = examine(question, candidates, now, words, read)
    return [] if evidence is None else verdicts(evidence, weights)


def verdicts(evidence: Evidence, weights: Weights) -> list[Hit]:
    """What `judge` says of evidence that is there already."""
    points = score(evidence, weights.order)
    reasons = _dropped(evidence, points, weights)
    hits = [
        Hit(candidate.memory, round(float(value), 4), _signals(evidence, i), reason)
        for i, (candidate, value, reason) in enumerate(zip(evidence.candidates, points, reasons, strict=True))
    ]
    return sorted(hits, key=lambda hit: (-hit.score, -hit.memory.at, hit.memory.id))


def _signals(evidence: Evidence, i: int) -> dict[str, float]:
    """What the store's signals said of a candidate, its words, and which of the times named it belongs to."""
    words, words_near = (round(float(row[i]), 4) for row in evidence.cut[1:3])
    told = {**evidence.candidates[i].signals, "words": words, "words_near": words_near}
    return told | {name: 1.0 for name in TIMES if evidence.order[name][i]}


def score(evidence: Evidence, weights: Order) -> Column:
    """One number per candidate."""
    points: Column = np.stack([evidence.order[name] for name in Order._fields], axis=1) @ np.array(weights)
    return points


def _gate_odds(evidence: Evidence, weights: Weights) -> float:
    """Log-odds that anything here can help."""
    return float(np.dot(weights.gate_by, (1.0, *evidence.gate)))


def _cut_odds(evidence: Evidence, points: Column, weights: Weights) -> Column:
    """Log-odds that each candidate is evidence, if anything here is."""
    lead = points - points.mean()
    odds: Column = np.array(weights.cut_by) @ np.stack([np.ones(len(lead)), *evidence.cut, lead])
    return odds


def _dropped(evidence: Evidence, points: Column, weights: Weights) -> list[str]:
    """Per candidate "" or the reason why it stays out."""
    if evidence.alone.any():
        return ["" if alone else "another time" for alone in evidence.alone]
    helps = _gate_odds(evidence, weights)
    if helps < _log_odds(weights.gate):
        return ["nothing here helps"] * len(points)
    least = _log_odds(weights.cut)
    odds = _cut_odds(evidence, points, weights) + weights.doubt * min(helps - weights.sure, 0.0)
    return ["" if value >= least else "weak evidence" for value in odds]


def _log_odds(chance: float) -> float:
    return math.log(chance / (1 - chance))
