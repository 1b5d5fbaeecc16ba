"""Feedback as a request tells it: the body of its own route, and the metadata of a later question."""

from typing import Any

import pytest

from gateway.errors import BadRequest
from gateway.feedback import Remark, beside, read
from gateway.memory.thoughts import Feedback


@pytest.mark.parametrize(
    ("fields", "of", "told"),
    [
        ({"trace": "t", "outcome": "success"}, "t", Feedback("success", None, "", 9.0)),
        ({"response_id": "chatcmpl-1", "score": -3}, "chatcmpl-1", Feedback("", -3.0, "", 9.0)),
        ({"trace": "t", "text": "Off by one.", "user": "ada"}, "t", Feedback("", None, "Off by one.", 9.0)),
        ({"trace": "t", "response_id": None, "outcome": "failure", "score": 0}, "t", Feedback("failure", 0.0, "", 9.0)),
    ],
)
def test_a_body_names_an_answer_and_tells_something_of_it(fields: Any, of: str, told: Feedback) -> None:
    """By the trace or by the answer's own id; null is nothing."""
    assert read(fields, 9.0) == Remark(of, told)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"outcome": "success"}, "trace"),
        ({"trace": "t", "response_id": "r", "outcome": "success"}, "trace"),
        ({"trace": "", "outcome": "success"}, "trace"),
        ({"trace": "x" * 513, "outcome": "success"}, "trace"),
        ({"response_id": 7, "outcome": "success"}, "response_id"),
        ({"trace": "t"}, "outcome"),
        ({"trace": "t", "text": ""}, "outcome"),
        ({"trace": "t", "outcome": "fine"}, "outcome"),
        ({"trace": "t", "outcome": ""}, "outcome"),
        ({"trace": "t", "outcome": ["success"]}, "outcome"),
        ({"trace": "t", "score": True}, "score"),
        ({"trace": "t", "score": "1"}, "score"),
        ({"trace": "t", "text": "x" * 2001}, "text"),
        ({"trace": "t", "text": {}}, "text"),
        ({"trace": "t", "outcome": "success", "rating": 5}, "rating"),
    ],
)
def test_what_cannot_be_understood_is_refused_by_name(fields: Any, param: str) -> None:
    """The first field that is wrong."""
    with pytest.raises(BadRequest) as refused:
        read(fields, 9.0)

    assert refused.value.param == param


def test_metadata_may_bring_it_along() -> None:
    """Beside whatever else stands there."""
    told = {
        "mneme_feedback": "failure",
        "mneme_feedback_for": "chatcmpl-1",
        "mneme_feedback_text": "No.",
        "user_id": "a",
    }

    assert beside(told, 9.0) == Remark("chatcmpl-1", Feedback("failure", None, "No.", 9.0))


@pytest.mark.parametrize(
    "metadata", [None, "mneme_feedback", {}, {"mneme_feedback": None}, {"mneme_feedback_for": "x"}]
)
def test_metadata_that_tells_nothing_is_not_ours(metadata: Any) -> None:
    """Whatever it is."""
    assert beside(metadata, 9.0) is None


@pytest.mark.parametrize(
    ("metadata", "param"),
    [
        ({"mneme_feedback": "great", "mneme_feedback_for": "x"}, "mneme_feedback"),
        ({"mneme_feedback": "success"}, "mneme_feedback_for"),
        ({"mneme_feedback": "success", "mneme_feedback_for": "x", "mneme_feedback_text": 1}, "mneme_feedback_text"),
    ],
)
def test_metadata_that_is_ours_and_wrong_is_refused(metadata: Any, param: str) -> None:
    """It would be lost without a word."""
    with pytest.raises(BadRequest) as refused:
        beside(metadata, 9.0)

    assert refused.value.param == param
