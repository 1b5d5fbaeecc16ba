"""From examples to weights: who is left out when, and what each of the three fits may learn from."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from gateway.evals.fit.examples import Example
from gateway.evals.fit.weigh import fitted, folds, marked, ordered, shown
from gateway.evals.recall.sample import NOBODY, Question, Sample
from gateway.memory.policies.ranker import Weights, examine
from gateway.memory.policies.ranker.weights import Cut, Gate, Order
from gateway.memory.records import Candidate, Memory
from gateway.memory.words import Words

NEAR, FAR, SIZE = 0.9, 0.1, 6


def example(sample: str, number: int, kind: str = "own", part: int = 0) -> Example:
    """One of several like memories is much nearer in its neighbourhood's meaning than the others and, for a question
    of its own, is the evidence; for other questions all are far."""
    draw = np.random.default_rng([number, part, len(kind)])
    gold = int(draw.integers(SIZE)) if kind == "own" else -1
    found = [candidate(n, NEAR if n == gold else FAR, float(draw.random())) for n in range(SIZE)]
    evidence = examine("bees?", found, 0.0, Words.none())
    assert evidence is not None
    truth = np.array([float(c.memory.id == str(gold)) for c in evidence.candidates])
    question = Question("bees?", "x", (str(gold),) if kind == "own" else (), ())
    return Example(
        Sample(sample, (), (), {str(n): f"D1:{n}" for n in range(SIZE)}), number, question, kind, part, evidence, truth
    )


def candidate(n: int, near: float, noise: float) -> Candidate:
    """The signals, of which one tells the truth."""
    memory = Memory(str(n), NOBODY, "s", f"page {n}", seq=n)
    return Candidate(memory, {"dense_turn": near / 2, "dense_near": near, "bm25_turn": noise, "bm25_near": noise})


def examples(names: Sequence[str]) -> list[Example]:
    """Questions of each kind about each conversation, whole and in parts."""
    kinds = ("own", "strangers", "general")
    return [example(name, n, kind, part) for name in names for n in range(8) for kind in kinds for part in (0, 4)]


ALL = examples(["ada", "bo", "cy"])


def test_each_fold_leaves_out_one_conversation() -> None:
    """Entirely, its parts and its unhelped questions too; and every conversation is left out once."""
    found = folds(ALL)

    assert [{e.sample.name for e in own} for _, own in found] == [{"ada"}, {"bo"}, {"cy"}]
    assert [{e.sample.name for e in others} for others, _ in found] == [{"bo", "cy"}, {"ada", "cy"}, {"ada", "bo"}]
    assert all(len(others) + len(own) == len(ALL) for others, own in found)


def test_the_column_that_tells_evidence_gets_the_weight() -> None:
    """And the noise next to none."""
    order = ordered(ALL)

    assert order.dense_near > 1
    assert abs(order.bm25_near) < order.dense_near / 4


def test_a_column_that_is_left_out_weighs_nothing() -> None:
    """Which is how to see what it buys."""
    order = ordered(ALL, frozenset({"dense_near"}))

    assert order.dense_near == 0.0


def test_the_order_is_learned_from_whole_conversations() -> None:
    """Parts, and questions that find no help, change nothing in it."""
    assert ordered(ALL) == ordered([e for e in ALL if e.kind == "own" and not e.part])


def test_the_gate_learns_who_can_be_helped() -> None:
    """A near memory raises its odds; and it sees parts, so that small memories are not judged as large ones."""
    gate = fitted(ALL).gate_by

    assert gate.dense_turn + gate.dense_near > 0
    assert gate != fitted([e for e in ALL if not e.part] + [e for e in ALL if e.kind == "own"]).gate_by


def test_only_weights_are_fitted() -> None:
    """Thresholds are chosen by hand from what they trade, and stay; numbers have two places."""
    found, usual = fitted(ALL), Weights()

    assert (found.gate, found.cut, found.doubt, found.sure) == (usual.gate, usual.cut, usual.doubt, usual.sure)
    assert all(round(w, 2) == w for w in (*found.order, *found.gate_by, *found.cut_by))


def test_what_is_fitted_tells_helped_from_unhelped() -> None:
    """On a conversation that it has not seen: evidence first and injected, silence for the others."""
    others, own = folds(ALL)[0]
    marks, quiet = marked(own, fitted(others))

    assert {rank for mark in marks for rank in mark.ranks.values()} == {1}
    assert {mark.injected["2000"] for mark in marks} == {1}
    assert {one.tokens for one in quiet} == {0}


def test_parts_are_learned_from_and_not_counted() -> None:
    """A measure is one of whole conversations, comparable with `mneme eval recall`."""
    marks, quiet = marked(ALL, Weights())

    assert (len(marks), len(quiet)) == (3 * 8, 3 * 8 * 2)
    assert {one.kind for one in quiet} == {"strangers", "general"}


def test_an_open_gate_injects_for_every_question() -> None:
    """Marks and silence come from the same verdicts that recall gives."""
    marks, quiet = marked(ALL, replace(Weights(), gate=1e-40, cut=1e-40, doubt=0.0))

    assert {mark.injected["2000"] for mark in marks} == {1}
    assert all(one.tokens > 0 for one in quiet)


@pytest.mark.parametrize("weights", [Order(), Gate(), Cut()])
def test_weights_are_shown_by_name(weights: Order | Gate | Cut) -> None:
    """Each of them, in order."""
    assert [*shown(weights)] == [*weights._fields]
    assert tuple(shown(weights).values()) == tuple(weights)
