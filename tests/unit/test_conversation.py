"""Which conversation a raw request belongs to, as far as it shows; nothing that is asked is refused here."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from gateway.admit import Key
from gateway.routes.conversation import conversation

SECRET = b"s" * 32
ONE, MANY = Key("t", "ada"), Key("t", "")
FIRST = {"role": "user", "content": "Hello"}
MORE = [FIRST, {"role": "assistant", "content": "Hi"}, {"role": "user", "content": "And?"}]


def of(messages: Any = (FIRST,), key: Key = ONE, secret: bytes = SECRET, head: str = "", **fields: Any) -> bytes | None:
    """The conversation of a body with these fields, where `head` names the session."""
    headers = {b"x-mneme-session": head.encode()} if head else {}
    return conversation(secret, key, headers, orjson.dumps({"messages": messages, **fields}))


def test_a_history_that_grows_is_one_conversation() -> None:
    """What stands before the first question does not matter: clients put the date there."""
    dated = [{"role": "system", "content": "It is Monday."}, *MORE]

    assert of() == of(MORE) == of(dated)
    assert of() != of([{"role": "user", "content": "Good day"}])


def test_a_session_is_one_conversation_whatever_is_said() -> None:
    """Named in the header or in the body, and the header goes first."""
    monday = of(head="monday")

    assert monday == of(MORE[2:], head="monday") == of(MORE[2:], metadata={"session_id": "monday"})
    assert monday == of(head="monday", metadata={"session_id": "tuesday"})
    assert monday not in (of(head="tuesday"), of())


def test_the_same_words_of_others_are_other_conversations() -> None:
    """Other users, tenants, and gateways with another secret."""
    found = [
        of(),
        of(user="bob"),
        of(key=Key("other", "ada")),
        of(secret=b"z" * 32),
        conversation(SECRET, MANY, {b"x-mneme-user": b"bob!"}, orjson.dumps({"messages": [FIRST]})),
    ]

    assert None not in found
    assert len(set(found)) == len(found)


def test_a_user_is_the_same_by_whatever_name_it_comes() -> None:
    """In the header, or in any of the members that memory reads."""
    body = orjson.dumps({"messages": [FIRST]})
    named = conversation(SECRET, MANY, {b"x-mneme-user": b"bob"}, body)

    assert named == of(key=MANY, user="bob") == of(key=MANY, safety_identifier="bob")
    assert named == of(key=MANY, metadata={"user_id": "bob"})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[",
        b"[]",
        b'{"messages": 7}',
        b'{"messages": [7]}',
        b'{"messages": [{"role": "system"}]}',
        b'{"input": 1}',
    ],
)
def test_what_cannot_be_read_belongs_to_none(body: bytes) -> None:
    """The worker judges it."""
    assert conversation(SECRET, ONE, {}, body) is None


def test_the_input_of_a_response_is_a_history_too() -> None:
    """As a list of messages; texts to embed are none."""
    later = conversation(SECRET, ONE, {}, orjson.dumps({"input": MORE}))

    assert of() == later is not None
    assert [conversation(SECRET, ONE, {}, orjson.dumps({"input": x})) for x in ("text", ["text"], [[1]])] == [None] * 3


async def _pieces() -> AsyncIterator[bytes]:
    yield b"{}"


def test_a_body_that_is_not_held_belongs_to_the_session_in_its_header() -> None:
    """And to none without one."""
    held = conversation(SECRET, ONE, {b"x-mneme-session": b"monday"}, b"")

    assert held == conversation(SECRET, ONE, {b"x-mneme-session": b"monday"}, _pieces()) is not None
    assert conversation(SECRET, ONE, {}, _pieces()) is None
