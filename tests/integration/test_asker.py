"""The model that reflection asks, over a real socket: what is sent, what comes back, and what failures are called."""

from collections.abc import AsyncIterator

import orjson
import pytest

from gateway.errors import ModelAway, Unusable
from gateway.memory.askers.http import HttpAsker
from gateway.memory.thinking import Told
from tests.support.upstream import Reply, Upstream, scripted_upstream

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    """A server that says what the test tells it to."""
    async with scripted_upstream() as running:
        yield running


@pytest.fixture
async def asker(upstream: Upstream) -> AsyncIterator[HttpAsker]:
    """The model "small" there."""
    async with HttpAsker.open(upstream.url, "small", "secret") as opened:
        yield opened


def completion(content: object, **more: object) -> Reply:
    """A chat completion with this content."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
    return Reply(chunks=(orjson.dumps({"object": "chat.completion", "choices": [choice], **more}),))


async def test_it_asks_for_json_of_the_schema(upstream: Upstream, asker: HttpAsker) -> None:
    """Model, key, both texts, no dice, and a strict response_format."""
    upstream.reply(completion('{"a": "b"}', usage={"total_tokens": 42}))

    assert await asker.ask("Be brief.", "What?", SCHEMA) == Told('{"a": "b"}', 42)
    asked = upstream.received[0]
    body = orjson.loads(asked.body)
    assert asked.target == b"/v1/chat/completions" and asked.header(b"authorization") == b"Bearer secret"
    assert (body["model"], body["temperature"]) == ("small", 0)
    assert [message["content"] for message in body["messages"]] == ["Be brief.", "What?"]
    assert body["response_format"]["json_schema"] == {"name": "answer", "strict": True, "schema": SCHEMA}


@pytest.mark.parametrize("priority", [0, 7])
async def test_answers_come_first_where_that_is_told(upstream: Upstream, priority: int) -> None:
    """A server without priorities refuses the field, so by default it is not there."""
    upstream.reply(completion("{}"))
    async with HttpAsker.open(upstream.url, "small", priority=priority) as asker:
        await asker.ask("", "What?", SCHEMA)

    assert orjson.loads(upstream.received[0].body).get("priority", 0) == priority
    assert (b"priority" in upstream.received[0].body) is bool(priority)


async def test_pictures_go_along(upstream: Upstream, asker: HttpAsker) -> None:
    """As parts behind the text."""
    upstream.reply(completion("{}"))
    await asker.ask("", "What is this?", SCHEMA, ["http://host/cat.png"])

    parts = orjson.loads(upstream.received[0].body)["messages"][1]["content"]
    assert parts[0] == {"type": "text", "text": "What is this?"}
    assert parts[1] == {"type": "image_url", "image_url": {"url": "http://host/cat.png"}}


async def test_untold_tokens_are_estimated(upstream: Upstream, asker: HttpAsker) -> None:
    """A budget must not be free because a server tells no usage."""
    upstream.reply(completion('{"a": "b"}'))

    assert (await asker.ask("Be brief.", "What? " * 100, SCHEMA)).tokens > 100


async def test_any_text_can_be_asked_about(upstream: Upstream, asker: HttpAsker) -> None:
    """Also one that is no valid Unicode."""
    upstream.reply(completion("{}"))
    await asker.ask("", "half \ud83d of it", SCHEMA)

    assert orjson.loads(upstream.received[0].body)["messages"][1]["content"] == "half ? of it"


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_who_cannot_answer_now_is_away(upstream: Upstream, asker: HttpAsker, status: int) -> None:
    """It is asked again later."""
    upstream.reply(Reply(status))

    with pytest.raises(ModelAway):
        await asker.ask("", "What?", SCHEMA)


async def test_who_is_not_there_is_away() -> None:
    """A port that nobody listens at, for an answer and for a ping."""
    async with HttpAsker.open("http://127.0.0.1:9/v1", "small") as asker:
        with pytest.raises(ModelAway):
            await asker.ask("", "What?", SCHEMA)
        with pytest.raises(ModelAway):
            await asker.ping()


@pytest.mark.parametrize(
    "reply",
    [
        Reply(400),
        Reply(404),
        Reply(chunks=(b"no JSON",)),
        Reply(chunks=(b"[]",)),
        Reply(chunks=(b'{"choices": []}',)),
        Reply(chunks=(b'{"choices": [{"message": "text"}]}',)),
        completion(None),
        completion(["parts"]),
        completion("{}", usage={"total_tokens": "many"}),
    ],
)
async def test_what_is_no_answer_is_unusable(upstream: Upstream, asker: HttpAsker, reply: Reply) -> None:
    """A refusal, or anything that is no chat completion: asking again would not help."""
    upstream.reply(reply)

    with pytest.raises(Unusable):
        await asker.ask("", "What?", SCHEMA)


async def test_a_server_that_answers_is_there(upstream: Upstream, asker: HttpAsker) -> None:
    """A ping asks for its models, and no model for words."""
    await asker.ping()

    assert upstream.received == []
