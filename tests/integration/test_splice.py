"""Promise 1 with memory on: what the worker receives differs from what the client sent in the inserted text only."""

from typing import Any

import orjson
import pytest

from tests.integration.conftest import House
from tests.integration.test_fidelity_requests import ODD_CHAT, end_to_end
from tests.support.raw import CHAT, KEY, ask, chat
from tests.support.upstream import JSON, Received, Reply

pytestmark = pytest.mark.asyncio(loop_scope="module")

FACT = "My sister Ada keeps her bees in Riga."
QUESTION = "Where does my sister Ada keep her bees?"
ANSWER = Reply(chunks=(b'{"choices":[{"index":0,"message":{"role":"assistant","content":"Noted."}}]}',))
_OPEN, _CLOSE = "<mneme-memory", "</mneme-memory>\n\n"


async def remember(house: House) -> None:
    """Teach the fact, once."""
    house.worker.reply(ANSWER)
    await chat(house.port, FACT)
    await house.gateway.indexed()
    house.worker.received.clear()


def without_block(text: str) -> str:
    """A message as the client wrote it."""
    before, found, rest = text.partition(_OPEN)
    return before + rest.partition(_CLOSE)[2] if found else before


async def sent(house: House, body: bytes, *extra: tuple[bytes, bytes]) -> Received:
    """What the worker gets for this body."""
    house.worker.received.clear()
    await ask(house.port, b"POST", CHAT, body, (KEY, *JSON, *extra))
    return house.worker.received[0]


def question(content: Any) -> bytes:
    """A body that asks for the fact, with odd white space and members on both sides of the messages."""
    message = orjson.dumps(content)
    return b'{ "top_p":1.00 ,"messages":[ {"role":"user", "content" : %s } ] , "model":"m","n" :1e0 }\n' % message


@pytest.mark.parametrize(
    "content",
    [
        QUESTION,
        [{"type": "text", "text": QUESTION}],
        [{"type": "image_url", "image_url": {"url": "data:,"}}, {"type": "text", "text": QUESTION}],
    ],
    ids=["string", "array", "image-first"],
)
async def test_only_the_insertion_differs(house: House, content: Any) -> None:
    """Cut the inserted bytes out again, and what is left is the client's body, byte for byte."""
    await remember(house)
    body = question(content)

    got = (await sent(house, body)).body

    added = len(got) - len(body)
    start = next(i for i, byte in enumerate(body) if got[i] != byte)
    salt = got.index(b',"cache_salt":')
    salt_size = got.index(b'"', salt + 16) + 1 - salt
    inserted = added - salt_size
    assert _OPEN.encode() in got
    assert got[:start] + got[start + inserted : salt] + got[salt + salt_size :] == body


async def test_parsed_nothing_but_the_block_and_the_salt_is_new(house: House) -> None:
    """The fields of the body are the client's own, the last user message begins with the recalled block."""
    await remember(house)
    body = question(QUESTION)

    got = orjson.loads((await sent(house, body)).body)

    text = got["messages"][0]["content"]
    got["messages"][0]["content"] = without_block(text)
    assert len(got.pop("cache_salt")) == 43
    assert (FACT in text, got) == (True, orjson.loads(body))


async def test_a_body_with_every_odd_field_is_spliced_too(house: House) -> None:
    """Forty fields, tool history and escapes: only the last user message grows, and the client's own salt stays."""
    await remember(house)
    body = ODD_CHAT.replace(b'"And?"', orjson.dumps(QUESTION))

    got = (await sent(house, body)).body

    parsed, original = orjson.loads(got), orjson.loads(body)
    parts = parsed["messages"][4]["content"]
    assert FACT in parts[0]["text"]
    parsed["messages"][4]["content"] = parts[1:]
    assert parsed == original


async def test_with_memory_on_the_headers_are_the_same_but_for_the_coding(house: House) -> None:
    """Only accept-encoding changes, because the answer must be readable here, and the length."""
    headers = ((b"x-request-id", b"r"), (b"x-a", b"1"), (b"x-a", b"2"), (b"accept-encoding", b"gzip"))
    body = question(QUESTION)
    plain = await sent(house, body, *headers, (b"x-mneme-memory", b"off"))

    told = await sent(house, body, *headers)

    changing = {b"accept-encoding", b"content-length"}
    assert [h for h in end_to_end(told) if h[0] not in changing] == [
        h for h in end_to_end(plain) if h[0] not in changing
    ]
    assert (told.header(b"accept-encoding"), told.header(b"content-length")) == (b"identity", b"%d" % len(told.body))
