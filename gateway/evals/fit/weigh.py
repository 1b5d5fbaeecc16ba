"""From examples to the ranker's weights, and what they find on conversations that they were not fitted to. Pure."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gateway.evals.fit.examples import Example
from gateway.evals.fit.regress import Array, logistic, softmax
from gateway.evals.recall.marks import Marks, cost, mark
from gateway.evals.recall.measures import Quiet
from gateway.memory.policies.ranker import Weights, verdicts
from gateway.memory.policies.ranker.verdict import score
from gateway.memory.policies.ranker.weights import Cut, Gate, Order


def fitted(examples: Sequence[Example]) -> Weights:
    """Weights of order, gate and cut; the thresholds stay."""
    order = ordered(examples)
    own = [e for e in examples if e.kind == "own"]
    gate = logistic(np.array([e.evidence.gate for e in examples]), np.array([e.kind == "own" for e in examples], float))
    cut = logistic(np.concatenate([_cut_rows(e, order) for e in own]), np.concatenate([e.gold for e in own]))
    return replace(Weights(), order=order, gate_by=Gate(*_plain(gate)), cut_by=Cut(*_plain(cut)))


def ordered(examples: Sequence[Example], without: frozenset[str] = frozenset()) -> Order:
    """Weights of the order alone, from questions about whole conversations. `without` names columns to leave out."""
    columns = [name for name in Order._fields if name not in without]
    whole = [e for e in examples if e.kind == "own" and not e.part]
    rows = [np.stack([e.evidence.order[name] for name in columns], axis=1) for e in whole]
    found = dict(zip(columns, _plain(softmax(rows, [e.gold for e in whole])), strict=True))
    return Order(**{name: found.get(name, 0.0) for name in Order._fields})


def marked(examples: Sequence[Example], weights: Weights) -> tuple[list[Marks], list[Quiet]]:
    """What the weights find: marks of questions about whole conversations, and tokens of those that find no help."""
    marks, quiet = [], []
    for e in examples:
        if e.part:
            continue
        hits = verdicts(e.evidence, weights)
        if e.kind == "own":
            marks.append(mark(e.sample.name, e.number, e.question, e.sample.labels, hits, 0.0))
        else:
            quiet.append(Quiet(e.sample.name, e.kind, cost(hits)))
    return marks, quiet


def folds(examples: Sequence[Example]) -> list[tuple[list[Example], list[Example]]]:
    """For each conversation the examples of all others, and its own."""
    names = dict.fromkeys(e.sample.name for e in examples)
    return [
        ([e for e in examples if e.sample.name != name], [e for e in examples if e.sample.name == name])
        for name in names
    ]


def _cut_rows(example: Example, order: Order) -> Array:
    points = score(example.evidence, order)
    rows: Array = np.column_stack([*example.evidence.cut, points - points.mean()])
    return rows


def _plain(weights: Array) -> list[float]:
    return [round(float(weight), 2) for weight in weights]


def shown(weights: Order | Gate | Cut) -> dict[str, float]:
    """By name."""
    return weights._asdict()
