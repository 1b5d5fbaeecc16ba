"""Marks, measures and intervals of the recall evaluation: exact on cases made by hand."""

import math
from typing import Any

import numpy as np
import pytest

from gateway.evals.recall.bootstrap import differences, estimates
from gateway.evals.recall.marks import Marks, cost, mark, ndcg, within
from gateway.evals.recall.measures import Quiet, measures, silence
from gateway.evals.recall.sample import NOBODY, Question
from gateway.memory.records import Hit, Memory

LABELS = {"a": "D1:1", "b": "D1:2", "c": "D2:1"}


def hit(id: str, session: str = "s1", dropped: str = "", source: str = "") -> Hit:
    """A hit on a short memory."""
    memory = Memory(id=id, scope=NOBODY, session=session, text=f"text of {id}", sources=(source,) if source else ())
    return Hit(memory, 1.0, {"dense_turn": 0.5}, dropped)


def marks(category: str = "x", where: str = "one", number: int = 1, **changes: Any) -> Marks:
    """One question; by default it has no gold."""
    nothing = {"2000": 0, "1200": 0}
    fields = {"ranks": {}, "session_ranks": {}, "injected": nothing, "tokens": nothing, "millis": 1.0, **changes}
    return Marks(conversation=where, number=number, question="?", category=category, **fields)


def value(name: str, asked: list[Marks]) -> float:
    """One measure's value."""
    return next(m.value() for m in measures(asked) if m.name == name)


THREE = [
    marks("x", ranks={"a": 1, "b": None}, session_ranks={"s1": 2}, injected={"2000": 2, "1200": 1}),
    marks("x", number=2, ranks={"c": 6}, session_ranks={"s2": 1}),
    marks("y", number=3, ranks={"d": 3}, session_ranks={"s1": 1, "s3": None}, tokens={"2000": 90, "1200": 60}),
]


def test_a_turn_ranks_where_its_best_piece_does() -> None:
    """Pieces of one long turn count once, at the first of them."""
    question = Question("?", "x", ("a", "c"), ("s1", "s2"))
    found = mark("one", 1, question, LABELS, [hit("b"), hit("a+1", source="a"), hit("a"), hit("c", "s2")], 2.0)

    assert found.ranks == {"D1:1": 2, "D2:1": 3}


def test_a_session_ranks_where_its_best_turn_does() -> None:
    """However many turns of another session stand before it, they are one session."""
    question = Question("?", "x", ("c",), ("s2",))
    found = mark("one", 1, question, LABELS, [hit("a"), hit("b"), hit("c", "s2")], 2.0)

    assert found.session_ranks == {"s2": 2}


def test_what_was_not_found_has_no_rank() -> None:
    """It is told as such, not as a large number."""
    assert mark("one", 1, Question("?", "x", ("a",), ("s1",)), LABELS, [], 2.0).ranks == {"D1:1": None}


def test_a_dropped_hit_has_a_rank_but_is_not_injected() -> None:
    """The cut decides what enters a prompt, not what was found."""
    question = Question("?", "x", ("a", "b"), ("s1",))
    found = mark("one", 1, question, LABELS, [hit("a", dropped="weak evidence"), hit("b")], 2.0)

    assert (found.ranks, found.injected["1200"]) == ({"D1:1": 1, "D1:2": 2}, 1)


def test_silence_costs_nothing() -> None:
    """Where every hit was dropped, no token is injected; where one was not, some are."""
    assert (cost([hit("a", dropped="nothing here helps")]), cost([hit("a")]) > 0) == (0, True)


def test_within_counts_ranks_up_to_the_limit() -> None:
    """The limit itself counts, a missing rank does not."""
    assert within({"a": 5, "b": 6, "c": None}, 5) == 1


def test_ndcg_by_hand() -> None:
    """Gold at 1 and 3 of two: (1 + 1/log2 4) over (1 + 1/log2 3)."""
    assert ndcg({"a": 1, "b": 3}, 10) == pytest.approx(1.5 / (1 + 1 / math.log2(3)))


def test_ndcg_counts_no_more_gold_than_fits() -> None:
    """Three gold turns cannot all stand within two places."""
    assert ndcg({"a": 1, "b": 2, "c": 3}, 2) == 1.0


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("R@5 micro", 2 / 4),
        ("R@5 mean", (0.5 + 0 + 1) / 3),
        ("R@5 macro", ((0.5 + 0) / 2 + 1) / 2),
        ("R@10 micro", 3 / 4),
        ("session Hit@1", 2 / 3),
        ("session R@5", (1 + 1 + 0.5) / 3),
        ("evidence in 2000 tokens, mean", (1 + 0 + 0) / 3),
        ("evidence in 1200 tokens, micro", 1 / 4),
        ("tokens of 1200, mean", 60 / 3),
    ],
)
def test_measures_by_hand(name: str, expected: float) -> None:
    """Over gold turns (micro), over questions (mean), over categories (macro)."""
    assert value(name, THREE) == pytest.approx(expected)


def test_a_question_without_gold_changes_no_measure() -> None:
    """It is asked, but there is nothing that it should find."""
    more = [*THREE, marks("z", number=4, tokens={"2000": 900, "1200": 900})]

    assert [m.value() for m in measures(more)] == pytest.approx([m.value() for m in measures(THREE)])


def test_nothing_to_measure_is_not_a_number() -> None:
    """Zero would read as a bad result."""
    assert math.isnan(value("R@10 mean", [marks()]))


def test_silence_by_hand() -> None:
    """Of two questions of strangers one injects 80 tokens; those of namesakes and general ones are counted apart."""
    quiet = [Quiet("one", k, n) for k, n in (("strangers", 80), ("strangers", 0), ("namesakes", 7), ("general", 0))]

    assert {m.name: m.value() for m in silence(quiet)} == {
        "strangers: share injecting": 0.5,
        "strangers: tokens, mean": 40.0,
        "namesakes: share injecting": 1.0,
        "namesakes: tokens, mean": 7.0,
        "general: share injecting": 0.0,
        "general: tokens, mean": 0.0,
    }


def half_right(count: int) -> list[Marks]:
    """Questions of two conversations, every other one answered."""
    places = ["one", "two"]
    return [
        marks(where=places[i % 2], number=i, ranks={"a": 1 if i // 2 % 2 else None}, session_ranks={"s": 1})
        for i in range(count)
    ]


def test_an_interval_is_that_of_a_proportion() -> None:
    """For 400 questions, half of them right, it spans about ± 1.96 · sqrt(.25 / 400)."""
    asked = half_right(400)
    found = estimates(measures(asked), [m.conversation for m in asked])["R@10 mean"]

    assert (found.low, found.high) == pytest.approx((0.451, 0.549), abs=0.01)


def test_an_interval_is_the_same_every_time() -> None:
    """Its draws are seeded."""
    asked = half_right(40)
    where = [m.conversation for m in asked]

    assert estimates(measures(asked), where)["R@10 mean"] == estimates(measures(asked), where)["R@10 mean"]


def test_resampling_stays_within_conversations() -> None:
    """Where one conversation is all right and the other all wrong, no draw changes the share."""
    asked = [
        marks(where=where, number=i, ranks={"a": rank})
        for where, rank in (("one", 1), ("two", None))
        for i in range(10)
    ]
    found = estimates(measures(asked), [m.conversation for m in asked])["R@10 mean"]

    assert (found.low, found.high) == (0.5, 0.5)


def test_conversations_of_one_question_vary_together() -> None:
    """Each alone could only be drawn as it is, and the interval would be a point."""
    asked = [marks(where=str(i), number=1, ranks={"a": 1 if i % 2 else None}) for i in range(40)]
    found = estimates(measures(asked), [m.conversation for m in asked])["R@10 mean"]

    assert found.low < 0.45 < 0.55 < found.high


def test_a_comparison_is_paired() -> None:
    """One question more out of many is a difference whose interval never falls below 0, however wide each one's is."""
    other = half_right(40)
    ours = [marks(where=other[0].conversation, number=0, ranks={"a": 1}, session_ranks={"s": 1}), *other[1:]]
    found = differences(measures(ours), measures(other), [m.conversation for m in ours])["R@10 mean"]

    assert found.low == 0.0
    assert found.difference == pytest.approx(1 / 40)


def test_a_report_compared_with_itself_differs_in_nothing() -> None:
    """Neither in the values nor in any draw."""
    asked = half_right(20)
    found = differences(measures(asked), measures(asked), [m.conversation for m in asked])

    assert np.allclose([(d.difference, d.low, d.high, d.p) for d in found.values() if d.ours == d.ours], (0, 0, 0, 1))
