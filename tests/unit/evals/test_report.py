"""The figures of a demo and their report: exact on a case made by hand, each in its place."""

import json
from typing import Any

import pytest

from gateway.evals.report import Report, document, table
from gateway.evals.tally import Asked, Replayed, Tally, by_category, nearest_rank, reasons, tally

BASE = Asked("one", "What?", 4, ("a",), ("a",), 100, 2.0, (), "t")


def asked(**changes: Any) -> Asked:
    """One answered question; by default its only evidence was found."""
    return Asked(**{**{name: getattr(BASE, name) for name in Asked.__slots__}, **changes})


HAND_MADE = [
    asked(category=1, evidence=("a", "b", "c"), found=("a", "c"), tokens=300, millis=4.0),
    asked(category=1, evidence=("a", "b"), found=("a", "b"), tokens=200, millis=1.0),
    asked(category=4, evidence=("d",), found=(), tokens=0, millis=9.0, skipped=("recall-deadline",)),
]

REPORT = Report(
    file="talks.json",
    model="mneme-reader",
    replayed=[
        Replayed("one", "demo-1-one", 30, 2.0, 3, {"recall-deadline": 2}),
        Replayed("two", "demo-2-two", 10, 3.0, 1, {}),
    ],
    asked=HAND_MADE,
    at_once=HAND_MADE[2:],
    later=HAND_MADE[1:2],
    left_out=2,
    unasked=1,
)


def line(start: str) -> str:
    """The table's line that starts so, with single spaces."""
    return next(" ".join(row.split()) for row in table(REPORT).splitlines() if row.startswith(start))


def test_the_sums_are_exact() -> None:
    """Evidence is counted turn by turn, completeness question by question."""
    assert tally(HAND_MADE) == Tally(questions=3, evidence=6, found=4, complete=1, tokens=500 / 3, p50=4.0, p95=9.0)


def test_each_category_has_its_own_sums() -> None:
    """In the categories' order, and only those that occur."""
    split = by_category([HAND_MADE[2], *HAND_MADE[:2]])

    assert [(kind, sums.found, sums.evidence) for kind, sums in split.items()] == [(1, 4, 5), (4, 0, 1)]


def test_nothing_asked_is_all_zero() -> None:
    """No division by no questions."""
    assert tally([]) == Tally(0, 0, 0, 0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(("share", "value"), [(0.5, 10.0), (0.95, 19.0), (0.951, 20.0), (1.0, 20.0), (0.0, 1.0)])
def test_a_percentile_is_the_nearest_rank(share: float, value: float) -> None:
    """Of 1 to 20, in any order, the smallest value that enough of them do not exceed."""
    assert nearest_rank([float(n) for n in range(20, 0, -1)], share) == value


def test_reasons_are_counted_most_frequent_first() -> None:
    """A question may name several."""
    assert [*reasons([("b",), ("a", "b"), ()]).items()] == [("b", 2), ("a", 1)]


def test_a_category_has_its_line() -> None:
    """Questions, evidence by turn and by question, mean tokens, milliseconds at the median and the 95th percentile."""
    assert line("multi-hop") == "multi-hop 2 4/5 (80.0%) 1/2 (50.0%) 250 1.0 4.0"


def test_the_last_line_sums_all_up() -> None:
    """Over all questions, not over the categories' shares."""
    assert line("overall") == "overall 3 4/6 (66.7%) 1/3 (33.3%) 167 4.0 9.0"


def test_the_speed_is_over_all_turns() -> None:
    """Turns of all conversations by the seconds of all."""
    assert line("Replayed") == "Replayed 40 turns in 5.0 s (8.0 turns/s)."


def test_skips_are_counted_apart_for_questions_and_turns() -> None:
    """A turn that recalls too late costs no answer; a question does."""
    assert line("Skipped") == "Skipped: recall-deadline 1 in questions, recall-deadline 2 in replayed turns."


def test_what_was_asked_at_once_is_compared_with_later() -> None:
    """The same questions, before and after indexing."""
    text = " ".join(table(REPORT).split())

    assert "with 4 turns not indexed yet: the 1 questions about what was said last found 0/1 (0.0%)" in text
    assert "(skipped: recall-deadline 1); once indexed the same ones found 2/2 (100.0%)." in text


def test_what_the_file_lacks_is_said() -> None:
    """Nothing is left out in silence."""
    assert line("Left out") == "Left out: 2 evidence ids that no turn has, 1 questions without evidence."


def test_the_document_lists_every_question() -> None:
    """With its ids, figures and trace."""
    assert json.loads(document(REPORT))["questions"][2] == {
        "conversation": "one",
        "question": "What?",
        "category": 4,
        "evidence": ["d"],
        "found": [],
        "tokens": 0,
        "millis": 9.0,
        "skipped": ["recall-deadline"],
        "trace": "t",
    }


def test_the_document_has_the_tables_figures() -> None:
    """The same sums, unrounded."""
    written = json.loads(document(REPORT))

    assert (written["overall"]["found"], written["categories"]["multi-hop"]["tokens"]) == (4, 250.0)
