"""Promise 1, on the way out: the client receives what it would have received without a gateway."""

import gzip

import pytest

from tests.integration.conftest import House
from tests.support.raw import CHAT, KEY, OFF, Headers, Response, ask, chat, wire
from tests.support.upstream import JSON, SSE, Reply

pytestmark = pytest.mark.asyncio(loop_scope="module")

BODY = b'{"model":"m","messages":[{"role":"user","content":"Hi"}]}'
OURS = b"x-mneme-"
# Every way a stream may be cut and framed: CRLF, CR, comments, a split character, a split line end, no space, a BOM,
# several data lines, events that are no JSON, and bytes behind the end mark.
HOSTILE: tuple[bytes, ...] = (
    b"\xef\xbb\xbf: hello\r",
    b'\n\r\ndata:{"choices":[{"index":0,"delta":{"content":"\xe2\x82',
    b'\xac 1"}}]}\r\n\r',
    b'\nevent: x\nid: 7\nretry: 10\ndata: {"choices":[{"index":1,\ndata: "delta":{"content":"b"}}]}\n',
    b"\n",
    b": keep-alive\n\n",
    b'data: {"choices":[],"usage":{"prompt_tokens":1}}\r\rda',
    b"ta: [DO",
    b"NE]\n\n",
    b": bye\n\n",
)


def theirs(answer: Response) -> list[tuple[bytes, bytes]]:
    """The headers, less those that the gateway adds."""
    return [pair for pair in answer.headers if not pair[0].startswith(OURS)]


async def both(house: House, reply: Reply, *, memory: bool = False, method: bytes = b"POST") -> list[Response]:
    """The worker's answer as a client gets it without the gateway and through it."""
    house.worker.reply(reply, reply)
    headers: Headers = (KEY,) if memory else (KEY, OFF)
    direct = await ask(house.worker_port, method, CHAT, BODY, headers)
    return [direct, await ask(house.port, method, CHAT, BODY, headers)]


MEMORY = pytest.mark.parametrize("memory", [False, True], ids=["off", "on"])


@MEMORY
async def test_a_json_answer_is_passed_byte_for_byte(house: House, memory: bool) -> None:
    """Status, headers and body are the worker's."""
    message = b'{"role":"assistant","content":null,"reasoning":"r"}'
    odd = b'{ "choices":[{"index":0,"message":%s,"x":1.0}], "\\u0061":1e0}' % message

    direct, through = await both(house, Reply(chunks=(odd,)), memory=memory)

    assert (through.status, theirs(through), through.body) == (direct.status, direct.headers, direct.body)


@MEMORY
async def test_duplicate_and_unknown_headers_are_passed(house: House, memory: bool) -> None:
    """Two cookies stay two, and headers that nobody knows stay."""
    headers = (*JSON, (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"x-ratelimit-remaining", b"9"), (b"x-e", b""))

    direct, through = await both(house, Reply(headers=headers), memory=memory)

    assert theirs(through) == direct.headers


@MEMORY
async def test_a_stream_is_passed_byte_for_byte(house: House, memory: bool) -> None:
    """However the stream is cut and framed, its bytes are the worker's."""
    direct, through = await both(house, Reply(headers=SSE, chunks=HOSTILE, pause=0.002), memory=memory)

    assert (through.body, theirs(through)) == (direct.body, direct.headers)


@pytest.mark.parametrize("target", [b"/v1/responses", b"/v1/completions", b"/v1/anything"])
async def test_a_stream_of_any_other_route_is_passed_byte_for_byte(house: House, target: bytes) -> None:
    """Also an error that comes after the first event, as /v1/responses sends it."""
    events = (b'event: response.created\ndata: {"type":"response.created"}\n\n', b'data: {"error":{"code":500}}\n\n')
    house.worker.reply(Reply(headers=SSE, chunks=(*events, *HOSTILE)))

    answer = await ask(house.port, b"POST", target, b'{"stream":true}')

    assert (answer.body, answer.whole) == (b"".join((*events, *HOSTILE)), True)


async def test_a_compressed_answer_stays_compressed(house: House) -> None:
    """content-encoding and the body still fit each other, and the length is the compressed one."""
    packed = gzip.compress(b'{"a":1}')

    direct, through = await both(house, Reply(headers=(*JSON, (b"content-encoding", b"gzip")), chunks=(packed,)))

    assert (through.body, theirs(through)) == (packed, direct.headers)


@MEMORY
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b'{"error":{"message":"bad","type":"BadRequestError","param":null,"code":400}}'),
        (401, b""),
        (404, b'{"detail":"Not Found"}'),
        (413, b"<html>too large</html>"),
        (422, b'{"object":"error","message":"x","code":422}'),
        (429, b"\xff\x00 not json"),
        (500, b"Internal Server Error"),
        (503, b'{"error":"overloaded"}'),
        (599, b"?"),
        (201, b"made"),
        (307, b""),
    ],
)
async def test_a_status_and_its_body_are_passed(house: House, memory: bool, status: int, body: bytes) -> None:
    """An error is the worker's own, whatever it looks like."""
    reply = Reply(status=status, headers=((b"content-type", b"text/odd"), (b"retry-after", b"3")), chunks=(body,))
    if memory:
        house.worker.reply(reply)  # a refusal is asked again

    direct, through = await both(house, reply, memory=memory)

    assert (through.status, through.body, theirs(through)) == (status, body, direct.headers)


@pytest.mark.parametrize("raw", [b"HTTP/1.1 204 No Content\r\nx-a: 1\r\n\r\n", b'HTTP/1.1 304 X\r\netag: "1"\r\n\r\n'])
async def test_an_answer_without_a_body_is_passed(house: House, raw: bytes) -> None:
    """204 and 304 have no body and get none."""
    house.worker.reply(Reply(raw=raw))

    async with wire(house.port) as client:
        answer = await client.ask(b"GET", b"/v1/files/1")
        again = await client.ask(b"GET", b"/v1/files/1")

    assert (answer.status, again.status) == (int(raw.split()[1]), 200)


@pytest.mark.parametrize("status", [204, 304])
async def test_a_length_where_no_body_is_leaves_the_connection_usable(house: House, status: int) -> None:
    """The length of a body that is not sent is no reason to wait for it."""
    house.worker.reply(Reply(raw=b'HTTP/1.1 %d X\r\ncontent-length: 10\r\netag: "1"\r\n\r\n' % status))

    async with wire(house.port) as client:
        first = await client.ask(b"GET", b"/v1/files/1")
        again = await client.ask(b"GET", b"/v1/files/1")

    assert (first.status, again.status) == (status, 200)


async def test_head_gets_the_head_only(house: House) -> None:
    """HEAD is passed as HEAD, with the length that a GET would have, and the connection goes on."""
    house.worker.reply(Reply(raw=b"HTTP/1.1 200 OK\r\ncontent-type: x/y\r\ncontent-length: 12345\r\n\r\n"))

    async with wire(house.port) as client:
        answer = await client.ask(b"HEAD", b"/v1/files/1/content")
        again = await client.ask(b"GET", b"/v1/x")

    assert (answer.header(b"content-length"), house.worker.received[0].method, again.status) == (b"12345", b"HEAD", 200)


async def test_a_large_answer_is_passed_byte_for_byte(house: House) -> None:
    """Twenty megabytes of binary answer, in pieces."""
    chunks = tuple(bytes([i]) * (1 << 20) for i in range(20))

    direct, through = await both(house, Reply(headers=((b"content-type", b"audio/x"),), chunks=chunks))

    assert through.body == direct.body


async def test_an_answer_until_the_connection_closes_is_passed(house: House) -> None:
    """Old servers end an answer by closing: it arrives whole."""
    house.worker.reply(Reply(raw=b"HTTP/1.0 200 OK\r\ncontent-type: text/plain\r\n\r\nall of it", drop=True))

    answer = await ask(house.port, b"GET", b"/v1/x")

    assert (answer.body, answer.whole) == (b"all of it", True)


async def test_a_hundred_early_hints_are_not_the_answer(house: House) -> None:
    """Interim answers of the worker are for the gateway only."""
    house.worker.reply(
        Reply(raw=b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    )

    assert (await ask(house.port, b"GET", b"/v1/x")).body == b"ok"


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx-large: " + b"a" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad name: 1\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx-ctl: a\x01b\r\ncontent-length: 0\r\n\r\n",
    ],
)
async def test_an_answer_that_is_not_http_is_a_bad_gateway(house: House, raw: bytes) -> None:
    """What no client could read becomes a 502 that says whose fault it is."""
    house.worker.reply(Reply(raw=raw, drop=True))

    answer = await ask(house.port, b"GET", b"/v1/x")

    assert (answer.status, answer.json()["error"]["type"]) == (502, "upstream_error")


async def test_what_happened_is_told_in_headers_of_our_own(house: House) -> None:
    """Every answer names the mode, what was injected, the time it took, and a trace."""
    answer = await chat(house.port, "Hello there")

    assert [name for name, _ in answer.headers if name.startswith(OURS)] == [
        b"x-mneme-mode",
        b"x-mneme-count",
        b"x-mneme-tokens",
        b"x-mneme-ms",
        b"x-mneme-trace",
    ]
