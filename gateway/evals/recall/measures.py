"""The measures, each as weighted ratios over questions, so that a resample is nothing but other weights. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gateway.evals.recall.marks import BUDGETS, DEPTH, Marks, ndcg, within

Array = np.ndarray[Any, np.dtype[np.float64]]
TURNS, SESSIONS = (5, 10, 20, 50), (1, 5, 10)


@dataclass(frozen=True, slots=True)
class Quiet:
    """A question that the memory of `conversation` cannot help, and what it injected; kinds are those of `unhelped`."""

    conversation: str
    kind: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Measure:
    """The mean over rows of Σ weight·above / Σ weight·below; a row whose weights leave nothing below does not count.

    `above` and `below` have one row per part (such as a category) and one column per question.
    """

    name: str
    above: Array
    below: Array

    def value(self) -> float:
        """With every question counted once; nan where there is nothing to measure."""
        return float(self.under(np.ones((1, self.above.shape[1])))[0])

    def under(self, weights: Array) -> Array:
        """One value for each row of `weights`, which has a column per question."""
        above, below = weights @ self.above.T, weights @ self.below.T
        counted = below > 0
        ratios = np.where(counted, above / np.where(counted, below, 1.0), 0.0)
        parts = counted.sum(axis=1)
        values: Array = np.where(parts > 0, ratios.sum(axis=1) / np.maximum(parts, 1), np.nan)
        return values


def measures(marks: Sequence[Marks]) -> list[Measure]:
    """All measures over questions that have gold, in the order of a report."""
    turns = [*_recalls(marks)]
    turns += [
        _micro("NDCG@10 mean", marks, lambda m: ndcg(m.ranks, DEPTH), lambda m: bool(m.ranks)),
        _macro("NDCG@10 macro", marks, lambda m: ndcg(m.ranks, DEPTH)),
        _micro("session Hit@1", marks, lambda m: within(m.session_ranks, 1) > 0, lambda m: bool(m.session_ranks)),
    ]
    for k in SESSIONS[1:]:
        turns.append(_micro(f"session R@{k}", marks, _share_of_sessions(k), lambda m: bool(m.session_ranks)))
    for budget in BUDGETS:
        key = str(budget)
        turns += [
            _micro(f"evidence in {budget} tokens, mean", marks, _share_in(key), lambda m: bool(m.ranks)),
            _micro(f"evidence in {budget} tokens, micro", marks, _turns_in(key), lambda m: len(m.ranks)),
            _micro(f"tokens of {budget}, mean", marks, _spent(key), lambda m: bool(m.ranks)),
        ]
    return turns


def silence(quiet: Sequence[Quiet]) -> list[Measure]:
    """For each kind of question that cannot be helped: how many inject anything, and how many tokens on average."""
    found = []
    for kind in dict.fromkeys(q.kind for q in quiet):
        below = _row([q.kind == kind for q in quiet])
        some = _row([q.kind == kind and q.tokens > 0 for q in quiet])
        spent = _row([q.tokens if q.kind == kind else 0 for q in quiet])
        found += [Measure(f"{kind}: share injecting", some, below), Measure(f"{kind}: tokens, mean", spent, below)]
    return found


def _recalls(marks: Sequence[Marks]) -> Iterable[Measure]:
    for k in TURNS:
        share = _share_of_turns(k)
        yield _micro(f"R@{k} micro", marks, _turns_within(k), lambda m: len(m.ranks))
        yield _micro(f"R@{k} mean", marks, share, lambda m: bool(m.ranks))
        yield _macro(f"R@{k} macro", marks, share)


def _micro(
    name: str, marks: Sequence[Marks], above: Callable[[Marks], float], below: Callable[[Marks], float]
) -> Measure:
    weighs = [below(m) for m in marks]
    return Measure(name, _row([above(m) if w else 0.0 for m, w in zip(marks, weighs, strict=True)]), _row(weighs))


def _macro(name: str, marks: Sequence[Marks], above: Callable[[Marks], float]) -> Measure:
    """The mean over categories of the mean over a category's questions."""
    categories = sorted({m.category for m in marks})
    inside = np.array([[m.category == c and bool(m.ranks) for m in marks] for c in categories], float)
    inside = inside.reshape(len(categories), len(marks))
    return Measure(name, inside * _row([above(m) for m in marks]), inside)


def _share_of_turns(k: int) -> Callable[[Marks], float]:
    return lambda m: within(m.ranks, k) / max(len(m.ranks), 1)


def _share_of_sessions(k: int) -> Callable[[Marks], float]:
    return lambda m: within(m.session_ranks, k) / max(len(m.session_ranks), 1)


def _turns_within(k: int) -> Callable[[Marks], float]:
    return lambda m: within(m.ranks, k)


def _share_in(budget: str) -> Callable[[Marks], float]:
    return lambda m: m.injected[budget] / max(len(m.ranks), 1)


def _turns_in(budget: str) -> Callable[[Marks], float]:
    return lambda m: m.injected[budget]


def _spent(budget: str) -> Callable[[Marks], float]:
    return lambda m: m.tokens[budget]


def _row(values: Sequence[float]) -> Array:
    return np.array([values], float).reshape(1, len(values))
