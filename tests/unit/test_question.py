"""A chat body understood: when memory acts, on what, and why it stays off."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from gateway.admit import MODES, Key
from gateway.ask import Ask, Tale
from gateway.errors import BadRequest
from gateway.memory.policies.none import Nothing
from gateway.memory.records import Scope
from gateway.question import Question, following, read, understand
from gateway.wire import chat
from tests.support.workers import quiet_worker, straight

HELLO = [{"role": "user", "content": "hello"}]
CALLS = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]


def asked(body: Any) -> Ask:
    """A request with this body."""
    return Ask("POST", "/chat/completions", [], {}, body, straight(quiet_worker(window=900)))


def understood(mode: str = "on", key: Key | None = None, tale: Tale | None = None, **fields: Any) -> Question | None:
    """The question in a body with these fields."""
    ask, tale = asked(orjson.dumps({"messages": HELLO, **fields})), tale or Tale("x", mode)
    request = read(ask, MODES[mode], tale)
    assert request
    policies = {"none": Nothing(), "other": Nothing(name="other")}
    return understand(
        ask, request, key or Key("t", "u"), MODES[mode], tale, policies=policies, default="none", budget=100, now=5.0
    )


def question(**fields: Any) -> Question:
    """The question, where there is one."""
    found = understood(**fields)
    assert found
    return found


async def _body() -> AsyncIterator[bytes]:
    yield b""


@pytest.mark.parametrize(
    ("body", "reason"),
    [(b"{", ["unreadable-body"]), (b'{"messages":[]}', ["unreadable-body"]), (_body(), ["body-too-large"])],
)
def test_a_body_that_memory_cannot_act_on_is_left_alone(body: Any, reason: list[str]) -> None:
    """It passes as it is, and the tale says why."""
    tale = Tale("x", "on")

    assert read(asked(body), MODES["on"], tale) is None
    assert tale.skipped == reason


@pytest.mark.parametrize(("body", "is_read"), [(b'{"messages":[{"role":"user"}]}', False), (b"{", False)])
def test_with_memory_off_a_body_is_not_even_parsed(body: bytes, is_read: bool) -> None:
    """There is nothing of ours in it to take out."""
    tale = Tale("x", "off")

    assert (read(asked(body), MODES["off"], tale) is not None) is is_read
    assert tale.skipped == []


def test_with_memory_off_our_own_member_is_still_found() -> None:
    """The worker must not see it."""
    body = orjson.dumps({"messages": HELLO, "memory": {}})

    assert read(asked(body), MODES["off"], Tale("x", "off"))


def test_a_question_carries_what_the_verbs_need() -> None:
    """Scope, options and text; what the caller leaves open is as configured."""
    plain = question()
    chosen = question(memory={"policy": "other", "tokens": 7, "at": 9}, metadata={"session_id": "s"}, user="v")

    assert (plain.scope, plain.session, plain.policy.name, plain.budget, plain.at, plain.said) == (
        Scope("t", "u"),
        None,
        "none",
        100,
        5.0,
        "hello",
    )
    assert (chosen.scope, chosen.session, chosen.policy.name, chosen.budget, chosen.at) == (
        Scope("t", "v"),
        "s",
        "other",
        7,
        9.0,
    )


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"key": Key("t", "")}, ["no-user"]),
        ({"messages": [{"role": "system", "content": "x"}]}, ["no-user-message"]),
        ({"mode": "off", "memory": {}}, []),
    ],
)
def test_memory_stays_off_and_says_why(given: dict[str, Any], reason: list[str]) -> None:
    """Nobody named, nothing asked, or not wanted."""
    tale = Tale("x", "on")

    assert understood(tale=tale, **given) is None
    assert tale.skipped == reason


@pytest.mark.parametrize("mode", ["on", "off"])
def test_an_unknown_policy_is_refused(mode: str) -> None:
    """Also where it would not have been used: the caller learns of the mistake."""
    with pytest.raises(BadRequest) as refused:
        understood(mode, memory={"policy": "telepathy"})

    assert refused.value.param == "memory.policy"


def test_what_was_said_is_the_user_s_text_of_the_last_turn() -> None:
    """All of it, and nothing that tools or the assistant said."""
    told = [
        {"role": "user", "content": "before"},
        {"role": "assistant", "content": "yes"},
        {"role": "user", "content": "one"},
        {"role": "user", "content": [{"type": "text", "text": "two"}, {"type": "image_url", "image_url": {}}]},
        {"role": "assistant", "tool_calls": CALLS},
        {"role": "tool", "tool_call_id": "c", "content": "three"},
    ]

    assert question(messages=told).said == "one\ntwo"


def test_a_history_is_divided_into_turns_and_a_head() -> None:
    """System messages belong to no turn wherever they stand; text goes to a turn's last user message."""
    told = [
        {"role": "system", "content": "s" * 400},
        *HELLO,
        {"role": "assistant", "content": "a"},
        {"role": "developer", "content": "d" * 400},
        *HELLO,
        *HELLO,
    ]
    past = question(messages=told).past

    assert past.spans == (range(1, 4), range(4, 6))
    assert past.targets == (1, 5)
    assert all(size < 100 for size in past.sizes)
    assert past.head > 200
    assert len(past.chains) == 2


def test_tools_count_to_the_head_and_the_answer_is_set_aside() -> None:
    """Both take room in the window."""
    plain, armed = question(), question(tools=[{"x": "y" * 4000}], max_tokens=50)

    assert armed.past.head - plain.past.head > 1000
    assert [question(max_completion_tokens=n).past.answer for n in (70, None, "x", True, -3)] == [70, 0, 0, 0, 0]
    assert armed.past.answer == 50


def test_the_window_is_that_of_the_worker_that_answers() -> None:
    """Two workers may serve the same model with different ones."""
    assert question().window == 900


def test_a_following_question_says_nothing_yet() -> None:
    """It has the longer history of its request, and all the rest of the one before."""
    before = question(metadata={"session_id": "s"})
    told = [*HELLO, {"role": "assistant", "content": "Good day."}, {"role": "user", "content": "And now?"}]

    after = following(before, chat.read(orjson.dumps({"messages": told})))

    assert (after.said, len(after.past.chains), after.past.chains[0]) == ("", 2, before.past.chains[0])
    assert (after.scope, after.session, after.window) == (before.scope, "s", 900)
