"""The head of a request: how long it may take, how large it may be, and what is no HTTP at all."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.server import HeadLimits
from tests.integration.conftest import House
from tests.integration.test_disconnect import event, said, until
from tests.support.gateway import running_gateway
from tests.support.raw import CHAT, KEY, Response, ask, request, wire
from tests.support.upstream import SSE, Reply, scripted_upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMITS = HeadLimits(seconds=0.6, size=64 << 10)
BEGUN = b"GET /v1/x HTTP/1.1\r\nhost: localhost\r\nx-slow: "


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def built(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """A house whose gateway does not wait long for a head."""
    async with (
        scripted_upstream() as worker,
        running_gateway(tmp_path_factory.mktemp("data"), worker.url, drain_seconds=1.0, limits=LIMITS) as gateway,
    ):
        yield House(worker, gateway)


def refused(answer: Response) -> tuple[int, str, bytes | None]:
    """Status, error type and fate of the connection."""
    return answer.status, answer.json()["error"]["type"], answer.header(b"connection")


async def test_a_head_that_never_ends_is_a_408(house: House) -> None:
    """Slow-loris: a byte now and then does not keep the connection."""
    async with wire(house.port) as client:
        await client.send(BEGUN)
        dribbling = asyncio.create_task(_dribble(client.send))
        answer = await client.response()
        dribbling.cancel()

    assert refused(answer) == (408, "invalid_request_error", b"close")


async def _dribble(send: object) -> None:
    while True:
        await send(b"a")  # type: ignore[operator]
        await asyncio.sleep(0.02)


async def test_the_second_head_on_a_connection_has_no_more_time(house: House) -> None:
    """Keep-alive does not lift the limit."""
    async with wire(house.port) as client:
        await client.ask(b"GET", b"/v1/x")
        await client.send(BEGUN)
        answer = await client.response()
        end = await client.reader.read()

    assert (refused(answer), end) == ((408, "invalid_request_error", b"close"), b"")


async def test_line_breaks_do_not_keep_a_connection(house: House) -> None:
    """What may stand between two requests does not start one."""
    async with wire(house.port) as client:
        await client.ask(b"GET", b"/v1/x")
        await client.send(b"\r\n")
        async with asyncio.timeout(5):
            end = await client.reader.read()

    assert end == b""


async def test_a_connection_that_says_nothing_is_closed(house: House) -> None:
    """Nobody asked anything, so nothing is answered."""
    async with wire(house.port) as client, asyncio.timeout(5):
        assert await client.reader.read() == b""


async def test_an_idle_connection_is_kept_longer_than_a_head_may_take(house: House) -> None:
    """The clock runs for heads, not for the pause between two requests."""
    async with wire(house.port) as client:
        await client.ask(b"GET", b"/v1/x")
        await asyncio.sleep(LIMITS.seconds * 1.5)

        assert (await client.ask(b"GET", b"/v1/x")).status == 200


async def test_a_long_answer_outlasts_the_clock(house: House) -> None:
    """The clock stops with the head, and a begun second head does not cost the running answer."""
    chunks = tuple(event(str(i)) for i in range(10))
    house.worker.reply(Reply(headers=SSE, chunks=chunks, pause=0.1))
    async with wire(house.port) as client:
        await client.send(said("Slowly", stream=True) + BEGUN)
        answer = await client.response()

    assert (answer.body, answer.whole) == (b"".join(chunks), True)


@pytest.mark.parametrize(
    "data",
    [
        BEGUN + b"a" * 5_000_000,
        b"GET /v1/" + b"a" * 5_000_000,
        b"GET /v1/x HTTP/1.1\r\n" + b"".join(b"x-%d: y\r\n" % i for i in range(500_000)),
        BEGUN[:-2] + b"a" * 5_000_000,
    ],
    ids=["value", "target", "many", "name"],
)
async def test_a_gigantic_head_is_a_431(house: House, data: bytes) -> None:
    """Whichever part of it has no end, and without reading it all into memory."""
    async with wire(house.port) as client:
        sending = asyncio.create_task(client.send(data))
        answer = await client.response()
        sending.cancel()

    assert refused(answer) == (431, "invalid_request_error", b"close")


async def test_headers_over_the_limit_are_a_431_also_when_they_arrive_whole(house: House) -> None:
    """A head of 70 kB in one piece."""
    answer = await ask(house.port, b"GET", b"/v1/x", headers=(KEY, (b"x-a", b"b" * 70_000)))

    assert (answer.status, answer.json()["error"]["type"]) == (431, "invalid_request_error")


async def test_headers_under_the_limit_pass(house: House) -> None:
    """60 kB of headers are the worker's to judge."""
    answer = await ask(house.port, b"GET", b"/v1/x", headers=(KEY, (b"x-a", b"b" * 30_000), (b"x-b", b"c" * 30_000)))

    assert (answer.status, len(house.worker.received[0].header(b"x-b") or b"")) == (200, 30_000)


async def test_a_large_body_before_a_head_is_not_counted_to_it(house: House) -> None:
    """Two requests in one breath: 300 kB of body and then a head."""
    first = request(b"POST", b"/v1/x", b"y" * 300_000)
    async with wire(house.port) as client:
        await client.send(first + BEGUN)
        answers = [await client.response()]
        await client.send(b"1\r\n" + b"%s: %s\r\n\r\n" % KEY)
        answers.append(await client.response())

    assert [answer.status for answer in answers] == [200, 200]


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"hello\r\n\r\n",
        b"GET /v1/x HTTP/9.9\r\n\r\n",
        b"GET /v1/\xff HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET /v1/x HTTP/1.1\r\nhost: localhost\r\nbad header\r\n\r\n",
        b"GET /v1/x HTTP/1.1\r\nhost: localhost\r\nx: a\x00b\r\n\r\n",
        b"POST /v1/x HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/x HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"POST /v1/x HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\na",
        request(b"POST", b"/v1/x", b"zz\r\n", (KEY, (b"transfer-encoding", b"chunked"))),
        b"CONNECT example.org:443 HTTP/1.1\r\nhost: example.org\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_a_400(house: House, data: bytes) -> None:
    """TLS to a plain port, two lengths, broken chunks and the like get one clear answer and no more."""
    async with wire(house.port) as client:
        await client.send(data)
        async with asyncio.timeout(5):
            answer = await client.response()

    assert refused(answer) == (400, "invalid_request_error", b"close")


async def test_an_upgrade_is_left_to_the_worker(house: House) -> None:
    """A WebSocket handshake becomes the plain GET that it is to a server without WebSockets."""
    upgrade = ((b"connection", b"Upgrade"), (b"upgrade", b"websocket"), (b"sec-websocket-key", b"x"))

    answer = await ask(house.port, b"GET", b"/v1/realtime", headers=(KEY, *upgrade))

    assert (answer.status, house.worker.received[0].header(b"upgrade")) == (200, None)


async def test_an_http_1_0_client_is_answered(house: House) -> None:
    """Old health checks and load tools speak it."""
    house.worker.reply(Reply(chunks=(b"ok",)))
    async with wire(house.port) as client:
        await client.send(b"GET /v1/x HTTP/1.0\r\nhost: localhost\r\nauthorization: Bearer mneme-local\r\n\r\n")
        answer = await client.response()
        end = await client.reader.read()

    assert (answer.status, answer.body, end) == (200, b"ok", b"")


async def test_pipelined_requests_are_answered_in_order(house: House) -> None:
    """Three at once."""
    house.worker.reply(*(Reply(chunks=(b"%d" % i,)) for i in range(3)))
    async with wire(house.port) as client:
        await client.send(request(b"GET", b"/v1/x") * 3)
        bodies = [(await client.response()).body for _ in range(3)]

    assert bodies == [b"0", b"1", b"2"]


async def test_a_refused_body_is_not_asked_for(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever expects a 100 and sends garbage at once is refused, and that is no failure of ours."""
    headers = (KEY, (b"expect", b"100-continue"), (b"transfer-encoding", b"chunked"))
    async with wire(house.port) as client:
        await client.send(request(b"POST", CHAT, b"zz\r\n", headers))
        answer = await client.response()
        end = await client.reader.read()
    await asyncio.sleep(0.05)  # the question's own task has looked for its body by then

    assert (answer.status, end) == (400, b"")
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


async def test_garbage_behind_a_running_answer_does_not_get_into_it(house: House) -> None:
    """A refusal is never written into the middle of another answer."""
    house.worker.reply(Reply(headers=SSE, chunks=(event("a"),), hang=True))
    async with wire(house.port) as client:
        await client.send(said("Hello", stream=True))
        await client.head()
        await client.chunk()
        await client.send(b"\x00\x01garbage\r\n\r\n")
        rest = await client.reader.read()

    assert rest == b""
    await until(house.worker.aborted.is_set)
