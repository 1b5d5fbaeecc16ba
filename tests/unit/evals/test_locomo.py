"""Reading LoCoMo-shaped files: what is taken from them, and how everything else is refused."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.evals.locomo import DatasetRefused, Dialogue, parse

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=20).filter(str.strip)
TURN = {"speaker": "Al", "dia_id": "D1:1", "text": "Hm."}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def sample(**changes: Any) -> dict[str, Any]:
    """A small conversation that is well formed, with some of its fields replaced."""
    return {
        "sample_id": "one",
        "conversation": {
            "session_2": [{"speaker": "Bo", "dia_id": "D2:1", "text": "The boat is sold."}],
            "session_2_date_time": "2024-03-02T10:00:00+01:00",
            "session_10": [{"speaker": "Al", "dia_id": "D10:1", "text": "Look!", "blip_caption": "a red kite"}],
            "session_10_date_time": "1:56 pm on 8 May, 2024",
            "session_11_date_time": "1:56 pm on 9 May, 2024",
            "speaker_a": "Al",
        },
        "qa": [{"question": "What was sold?", "category": 4, "evidence": ["D2:1"], "answer": "the boat"}],
        **changes,
    }


def read(*samples: dict[str, Any]) -> tuple[Dialogue, ...]:
    """The samples, through the file's bytes."""
    return parse(json.dumps(samples).encode())


def refusal(*samples: Any) -> str:
    """Why these are refused."""
    with pytest.raises(DatasetRefused) as caught:
        parse(json.dumps(samples).encode())
    return caught.value.message


def test_sessions_come_in_the_order_of_their_numbers() -> None:
    """session_10 follows session_2, and a date without a session is no session."""
    assert [session.name for session in read(sample())[0].sessions] == ["session_2", "session_10"]


def test_a_turn_is_sent_as_speaker_and_text() -> None:
    """Who speaks stands before what is said."""
    assert read(sample())[0].turns["D2:1"].text == "Bo: The boat is sold."


def test_a_caption_is_sent_but_is_not_evidence() -> None:
    """The image's caption follows the words; the words alone are what must be found again."""
    turn = read(sample())[0].turns["D10:1"]

    assert (turn.text, turn.words) == ("Al: Look! [image: a red kite]", "Al: Look!")


def test_a_date_in_locomos_words_is_read_as_utc() -> None:
    """The dataset has no zones."""
    assert read(sample())[0].sessions[1].at == datetime(2024, 5, 8, 13, 56, tzinfo=UTC)


def test_an_iso_date_keeps_its_zone() -> None:
    """Files of one's own may say when things were said in ISO 8601."""
    assert read(sample())[0].sessions[0].at == datetime(2024, 3, 2, 9, 0, tzinfo=UTC)


def test_evidence_that_no_turn_has_is_left_out_and_counted() -> None:
    """The original cites a few turns that do not exist."""
    question = {"question": "What?", "category": 1, "evidence": ["D2:1", "D:7:7"]}
    dialogue = read(sample(qa=[question]))[0]

    assert (dialogue.questions[0].evidence, dialogue.left_out) == (("D2:1",), 1)


def test_several_ids_in_one_entry_are_told_apart() -> None:
    """The original sometimes writes 'D8:6; D9:17' where it means two."""
    question = {"question": "What?", "category": 1, "evidence": ["D10:1; D2:1", "D2:1"]}

    assert read(sample(qa=[question]))[0].questions[0].evidence == ("D10:1", "D2:1")


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"sample_id": 7}, "conversation 1: sample_id"),
        ({"sample_id": "x" * 201}, "conversation 1: sample_id"),
        ({"conversation": []}, "one: conversation"),
        ({"conversation": {"session_1": []}}, "one: conversation"),
        ({"conversation": {"session_1": "hello"}}, "one: session_1"),
        (
            {"conversation": {"session_1": [TURN], "session_1_date_time": "1:56 pm on Monday"}},
            "one: session_1_date_time",
        ),
        ({"conversation": {"session_1": [TURN]}}, "one: session_1_date_time"),
        ({"qa": None}, "one: qa"),
        ({"qa": [3]}, "one: question 1"),
        ({"qa": [{"question": "Q", "category": 6, "evidence": []}]}, "one: question 1: category"),
        ({"qa": [{"question": "Q", "category": True, "evidence": []}]}, "one: question 1: category"),
        ({"qa": [{"question": "Q", "category": 1, "evidence": [4]}]}, "one: question 1: evidence"),
    ],
)
def test_a_refusal_names_the_place(change: dict[str, Any], place: str) -> None:
    """Whoever made the file must find what is wrong with it."""
    assert refusal(sample(**change)).startswith(place)


def test_a_turn_without_words_is_refused() -> None:
    """The message counts sessions and turns as the file does."""
    talk = {"session_3": [{"speaker": "Al", "dia_id": "D3:1"}], "session_3_date_time": "2024-01-01"}

    assert refusal(sample(conversation=talk)) == "one: session_3, turn 1: text must be a text that is not empty"


def test_one_id_for_two_turns_is_refused() -> None:
    """Evidence must name one turn."""
    talk = {"session_1": [TURN, TURN], "session_1_date_time": "2024-01-01"}

    assert "D1:1" in refusal(sample(conversation=talk, qa=[]))


def test_one_name_for_two_conversations_is_refused() -> None:
    """They would become one user."""
    assert "same sample_id" in refusal(sample(), sample())


@pytest.mark.parametrize("raw", [b"", b"[", b"{}", b"[]", b'"\\ud800"', b"\xff\xfe", b"null"])
def test_what_is_no_list_of_conversations_is_refused(raw: bytes) -> None:
    """Whatever the bytes are, the error is ours."""
    with pytest.raises(DatasetRefused):
        parse(raw)


@given(JSON, st.sampled_from(["sample_id", "conversation", "qa"]))
def test_any_json_is_read_or_refused(value: Any, where: str) -> None:
    """No shape of JSON in any field raises anything but DatasetRefused."""
    try:
        (dialogue,) = read(sample(**{where: value}))
    except DatasetRefused:
        return
    assert dialogue.sessions


@given(st.lists(st.lists(WORDS, min_size=1, max_size=4), min_size=1, max_size=4))
def test_every_turn_is_kept_in_order(sessions: list[list[str]]) -> None:
    """What the file says in some order is told in that order, word for word."""
    talk: dict[str, Any] = {}
    for i, said in enumerate(sessions, 1):
        talk[f"session_{i}"] = [{"speaker": "Al", "dia_id": f"D{i}:{j}", "text": text} for j, text in enumerate(said)]
        talk[f"session_{i}_date_time"] = "2024-01-01"

    turns = read(sample(conversation=talk))[0].turns.values()

    assert [turn.text for turn in turns] == [f"Al: {text}" for said in sessions for text in said]
