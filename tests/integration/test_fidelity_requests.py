"""Promise 1, on the way in: with memory off the worker receives what it would have received without a gateway."""

import pytest

from tests.integration.conftest import House
from tests.support.raw import CHAT, KEY, OFF, Headers, ask, request, wire
from tests.support.upstream import Received, Reply

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Framing belongs to one connection, the key to one server; all other headers are end-to-end.
_NOT_END_TO_END = {b"host", b"authorization", b"x-mneme-memory", b"connection", b"transfer-encoding"}

ODD_CHAT = rb"""  {"messages" : [
  {"role":"system","content":[{"type":"text","text":"Be brief."}]},
  {"role":"user","name":"Ada\u0301","content":"\u00e9 \ud83d\ude00 \/ caf\u0000e"},
  {"role":"assistant","content":null,"refusal":null,"tool_calls":[
    {"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\": 1.0}"}}]},
  {"role":"tool","tool_call_id":"c1","content":"7"},
  {"role":"user","content":[{"type":"text","text":"And?"},{"type":"image_url","image_url":{"url":"data:,x"}}]}
 ],
 "model":"m","temperature":1.0,"top_p":1E0,"seed":9007199254740993,"top_k":-1,"min_p":0.10,"n":2,
 "stop":null,"stop_token_ids":[],"logit_bias":{"50256":-100},"logprobs":true,"top_logprobs":3,"max_tokens":1e1,
 "tools":[{"type":"function","function":{"name":"f","strict":true,"parameters":{"z":1,"a":2}}}],"tool_choice":"auto",
 "response_format":{"type":"json_schema","json_schema":{"name":"x","strict":true,"schema":{}}},
 "structured_outputs":{"regex":"\\d+"},"guided_json":{},"chat_template_kwargs":{"enable_thinking":false},
 "vllm_xargs":{"x":[1,2]},"kv_transfer_params":{"do_remote_decode":true},"return_token_ids":true,"priority":-5,
 "cache_salt":"mine","session_id":"s","request_id":"r","user":"","metadata":{},"store":false,"service_tier":"auto",
 "parallel_tool_calls":false,"reasoning_effort":"low","stream_options":{"include_usage":false},"stream":false,
 "include_reasoning":true,"repetition_detection":null,"unknown_field":{"deep":[[[{}]]]},"\u0061bc":-0.0
 }
"""


def end_to_end(received: Received) -> list[tuple[bytes, bytes]]:
    """The headers that a gateway must not touch."""
    return [pair for pair in received.headers if pair[0] not in _NOT_END_TO_END]


async def both(
    house: House, method: bytes, target: bytes, body: bytes = b"", headers: Headers = ()
) -> tuple[Received, Received]:
    """The same request as the worker gets it without the gateway and through it."""
    headers = (*headers, KEY, OFF)
    await ask(house.worker_port, method, target, body, headers)
    await ask(house.port, method, target, body, headers)
    direct, through = house.worker.received
    return direct, through


async def test_a_chat_body_arrives_byte_for_byte(house: House) -> None:
    """Field order, white space, number spellings, escapes, null and unknown fields survive."""
    direct, through = await both(house, b"POST", CHAT, ODD_CHAT, ((b"content-type", b"application/json"),))

    assert through.body == direct.body == ODD_CHAT


async def test_headers_arrive_as_they_were_sent(house: House) -> None:
    """Request id, trace context, duplicates, unknown names and odd values pass in their order; nothing is added."""
    headers = (
        (b"content-type", b"application/json; charset=utf-8"),
        (b"accept", b"text/event-stream"),
        (b"accept-encoding", b"gzip, br"),
        (b"user-agent", b"OpenAI/Python 9.9"),
        (b"x-request-id", b"r-1"),
        (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        (b"x-double", b"one"),
        (b"x-double", b"two"),
        (b"cookie", b"a=1; b=2"),
        (b"x-odd", b'a,b;c="d"\te'),
        (b"x-utf8", "ü".encode()),
        (b"x-empty", b""),
        (b"x-stainless-retry-count", b"0"),
    )

    direct, through = await both(house, b"POST", CHAT, ODD_CHAT, headers)

    assert end_to_end(through) == end_to_end(direct)


async def test_a_header_that_is_no_utf8_arrives_as_it_was_sent(house: House) -> None:
    """Latin-1, which HTTP once meant, is nobody's to mend."""
    _, through = await both(house, b"GET", b"/v1/x", headers=((b"x-name", b"Jos\xe9"),))

    assert through.header(b"x-name") == b"Jos\xe9"


async def test_duplicate_headers_keep_their_order(house: House) -> None:
    """Two values of one name arrive in the order in which they were sent."""
    _, through = await both(house, b"GET", b"/v1/x", headers=((b"x-a", b"1"), (b"x-b", b"2"), (b"x-a", b"3")))

    assert [value for name, value in through.headers if name == b"x-a"] == [b"1", b"3"]


@pytest.mark.parametrize(
    ("method", "target"),
    [
        (b"GET", b"/v1/files/a%2Fb%20c?after=%2F+x&limit=2&empty=&flag"),
        (b"DELETE", b"/v1/files/f-1"),
        (b"POST", b"/v1/completions"),
        (b"POST", b"/v1/responses"),
        (b"POST", b"/v1/embeddings?x=%C3%BC"),
        (b"PUT", b"/v1/uploads//double/./dot/../up"),
        (b"PATCH", b"/v1/chat/completions/c-1"),
        (b"GET", b"/v1/chat/completions?limit=1"),
        (b"OPTIONS", b"/v1/models/x"),
        (b"GET", b"/v1/realtime/%E2%82%AC;v=1,2:3@4&$!'()*~"),
        (b"GET", b"/v1"),
    ],
)
async def test_any_path_and_method_passes_as_it_was_spelled(house: House, method: bytes, target: bytes) -> None:
    """What follows /v1 is nobody's business but the worker's."""
    body = b'{"x": 1.0}' if method in (b"POST", b"PUT", b"PATCH") else b""

    direct, through = await both(house, method, target, body)

    assert (through.method, through.target, through.body) == (direct.method, direct.target, direct.body)


async def test_a_multipart_upload_arrives_byte_for_byte(house: House) -> None:
    """Binary parts and their boundary are not touched."""
    body = (
        b'--b\r\ncontent-disposition: form-data; name="f"; filename="a\xff"\r\n\r\n' + bytes(range(256)) + b"\r\n--b--"
    )
    kind = ((b"content-type", b"multipart/form-data; boundary=b"),)

    direct, through = await both(house, b"POST", b"/v1/files", body, kind)

    assert (through.body, through.header(b"content-type")) == (direct.body, direct.header(b"content-type"))


async def test_a_chunked_body_arrives_byte_for_byte(house: House) -> None:
    """A request body without a length is passed on, in whatever pieces."""
    pieces = [b'5\r\n{"a":\r\n', b"1\r\n1\r\n", b"2;ext=1\r\n \n\r\n", b"1\r\n}\r\n", b"0\r\n\r\n"]
    async with wire(house.port) as client:
        await client.send(request(b"POST", b"/v1/embeddings", headers=(KEY, (b"transfer-encoding", b"chunked"))))
        for piece in pieces:
            await client.send(piece)
        await client.response()

    assert house.worker.received[0].body == b'{"a":1 \n}'


@pytest.mark.parametrize("target", [b"/v1/files", CHAT])
async def test_twenty_megabytes_arrive_byte_for_byte(house: House, target: bytes) -> None:
    """A large body keeps its length and its bytes, on the pass-through routes and on the chat route."""
    body = b'{"x":"' + b"0123456789abcdef" * (20 << 16) + b'"}'

    direct, through = await both(house, b"POST", target, body)

    assert (through.body == direct.body, through.header(b"content-length")) == (True, b"%d" % len(body))


async def test_an_expectation_is_met_here(house: House) -> None:
    """A client that waits for `100 Continue` gets it from the gateway, and the worker is not asked for one."""
    async with wire(house.port) as client:
        await client.send(
            request(b"POST", b"/v1/x", headers=(KEY, (b"content-length", b"2"), (b"expect", b"100-continue")))
        )
        first = await client.reader.readuntil(b"\r\n\r\n")
        await client.send(b"{}")
        await client.response()

    assert (first.split(b"\r\n")[0], house.worker.received[0].header(b"expect")) == (b"HTTP/1.1 100 Continue", None)


async def test_headers_of_one_connection_stay_on_it(house: House) -> None:
    """Hop-by-hop headers, and those that `Connection` names, do not reach the worker."""
    hop = ((b"connection", b"keep-alive, X-Hop"), (b"x-hop", b"1"), (b"te", b"trailers"), (b"keep-alive", b"3"))

    await ask(house.port, b"GET", b"/v1/x", headers=(*hop, KEY))

    assert not {b"connection", b"x-hop", b"te", b"keep-alive"} & dict(house.worker.received[0].headers).keys()


async def test_our_key_and_our_headers_stay_here(house: House) -> None:
    """The caller's key was issued by us, and x-mneme-* is meant for us: the worker sees neither."""
    await ask(house.port, b"POST", CHAT, ODD_CHAT, (KEY, OFF, (b"x-mneme-user", b"u"), (b"X-Mneme-Session", b"s")))

    names = dict(house.worker.received[0].headers).keys()
    assert not [name for name in names if name == b"authorization" or name.startswith(b"x-mneme")]


async def test_the_memory_object_is_cut_out_and_nothing_else(house: House) -> None:
    """With memory off, a `memory` member leaves the body; every other byte stays."""
    body = b'{ "model":"m" , "memory" : {"tokens":5}, "messages":[{"role":"user","content":"x"}],"top_p":1.00}'
    house.worker.reply(Reply())

    await ask(house.port, b"POST", CHAT, body, (KEY, OFF))

    assert house.worker.received[0].body == body.replace(b' , "memory" : {"tokens":5}', b"")
