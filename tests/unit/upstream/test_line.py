"""What a line makes of bytes, without a socket: framing, limits, and whether it can be asked again."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.upstream.line import NotHttp, Silence
from tests.unit.upstream.wires import ask, asked, feed, heard, new

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (OK, b"ok"),
        (b"HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok", b"ok"),
        (b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok", b"ok"),
        (CHUNKED + b'1\r\no\r\n1;name=value;quoted="a;b"\r\nk\r\n0\r\nx-trailer: 1\r\n\r\n', b"ok"),
        (CHUNKED + b"000A\r\n0123456789\r\n00\r\n\r\n", b"0123456789"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", b""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nlink: x\r\n\r\n" + OK, b"ok"),
        (b"\r\n" + OK, b"ok"),
    ],
)
async def test_a_whole_answer_leaves_a_line_that_can_be_asked_again(raw: bytes, body: bytes) -> None:
    """Length, chunks with extensions and trailers, no body at all, interim answers before it."""
    async with asked() as (line, _):
        feed(line, raw)

        assert ((await heard(line)).body, await line.release(), line.used) == (body, True, True)


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        OK + b"H",
        OK + b"garbage",
        OK + OK,
        OK + b"HTTP/1.1 200 OK\r\nx-poisoned: ",
        CHUNKED + b"2\r\nok\r\n0\r\n\r\nHTTP/1.1 ",
    ],
)
async def test_a_line_that_said_more_or_said_goodbye_is_closed(raw: bytes) -> None:
    """Bytes behind an answer must not become the beginning of the next caller's."""
    async with asked() as (line, transport):
        feed(line, raw)

        assert ((await heard(line)).body, await line.release(), transport.aborted) == (b"ok", False, True)


async def test_bytes_behind_an_answer_close_the_line_also_when_they_come_later() -> None:
    """A line at rest that speaks is not asked."""
    async with asked() as (line, transport):
        feed(line, OK)
        await heard(line)
        await line.release()
        feed(line, OK)

        assert transport.aborted


async def test_a_line_that_spoke_before_it_was_asked_gives_no_answer() -> None:
    """What came before the question is not its answer."""
    line, _ = new()
    feed(line, OK)
    ask(line)

    with pytest.raises(ConnectionError):
        await heard(line)


async def test_a_head_has_no_body_whatever_it_promises() -> None:
    """HEAD tells the length of what it does not send."""
    async with asked(bodiless=True) as (line, _):
        feed(line, b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n")

        assert (await heard(line)).body == b""


@pytest.mark.parametrize(
    "head", [b"HTTP/1.0 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"]
)
async def test_an_answer_without_a_length_ends_with_its_connection(head: bytes) -> None:
    """As in the old days."""
    async with asked() as (line, _):
        feed(line, head + b"all of it", close=True)

        assert ((await heard(line)).body, await line.release()) == (b"all of it", False)


async def test_an_answer_without_a_length_that_we_cut_is_not_whole() -> None:
    """Our own end of the connection is not the worker's."""
    async with asked() as (line, _):
        feed(line, b"HTTP/1.0 200 OK\r\n\r\nsome of it")
        line.abort()
        line.connection_lost(None)

        with pytest.raises(ConnectionError):
            await heard(line)


@pytest.mark.parametrize("raw", [OK[:-1], CHUNKED + b"2\r\nok\r\n", CHUNKED + b"2\r\nok\r\n0\r\n", OK[:30], b""])
async def test_an_answer_that_is_cut_fails(raw: bytes) -> None:
    """What has a length, and is shorter, is never taken for whole."""
    async with asked() as (line, _):
        feed(line, raw, close=True)

        with pytest.raises(ConnectionError):
            await heard(line)


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n\x00\x01",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + OK,
        b"HTTP/1.1 099 Odd\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\t\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\ncontent-length: 0\n\n",
        b"HTTP/1.1 200 " + b"x" * 200_000,
        b"HTTP/1.1 200 OK\r\nx: " + b"x" * 200_000,
        b"HTTP/1.1 200 OK\r\nx: " + b"x" * 70_000 + b"\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 50_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000,
        b"\r\n" * 100_000,
        b"\x16\x03\x01\x02\x00",
    ],
    ids=lambda raw: repr(raw[:60]),
)
@pytest.mark.parametrize("piece", [1 << 20, 4096])
async def test_what_cannot_be_read_is_refused(raw: bytes, piece: int) -> None:
    """Also an endless head, before it has been read into memory, and a protocol that nobody asked to switch to."""
    async with asked() as (line, transport):
        feed(line, raw, range(piece, len(raw), piece))

        with pytest.raises(NotHttp):
            await line.head()
        assert transport.aborted


@pytest.mark.parametrize("endless", [b"2;x=" + b"y" * 200_000, b"0\r\nx: " + b"y" * 200_000, b"0" * 200_000])
async def test_framing_without_end_is_refused(endless: bytes) -> None:
    """A chunk extension, a trailer or a chunk's size of any length would keep a line for nothing."""
    async with asked() as (line, _):
        feed(line, CHUNKED + endless, range(4096, len(endless), 4096))

        with pytest.raises(NotHttp):
            await heard(line)


async def test_many_small_chunks_are_not_counted_as_framing() -> None:
    """A long answer has more framing than a head may have."""
    async with asked() as (line, _):
        for _ in range(100):
            feed(line, CHUNKED if not line.heard else b"")
            feed(line, b"1\r\nx\r\n" * 1000)
        feed(line, b"0\r\n\r\n")

        assert len((await heard(line)).body) == 100_000


async def test_white_space_around_a_value_is_not_part_of_it() -> None:
    """RFC 9112 section 5."""
    async with asked() as (line, _):
        feed(line, b"HTTP/1.1 200 OK\r\nx: \t a b \t \r\ncontent-length: 0\r\n\r\n")

        assert (await heard(line)).headers[0] == (b"x", b"a b")


async def test_what_nobody_fetches_makes_the_worker_wait() -> None:
    """Until it is fetched."""
    async with asked() as (line, transport):
        feed(line, b"HTTP/1.1 200 OK\r\ncontent-length: 999999\r\n\r\n" + b"x" * 300_000)
        before = transport.paused
        await line.read()

        assert (before, transport.paused) == (True, False)


async def test_an_answer_that_was_not_fetched_does_not_go_back_deaf() -> None:
    """A line that stopped reading cannot be asked again."""
    async with asked() as (line, _):
        feed(line, b"HTTP/1.1 200 OK\r\ncontent-length: 300000\r\n\r\n" + b"x" * 300_000)

        assert await line.release() is False


async def test_an_early_answer_does_not_make_a_line_whole() -> None:
    """A request that was not sent to its end would go on in the next one."""

    async def slowly() -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.sleep(0)
        feed(line, OK)
        yield b"b"

    line, transport = new()
    line.ask(b"HEAD", slowly(), chunked=True, bodiless=False)
    await heard(line)
    await asyncio.sleep(0.01)

    assert (await line.release(), bytes(transport.written)) == (False, b"HEAD1\r\na\r\n")


@pytest.mark.parametrize(("chunked", "sent"), [(True, b"HEAD1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"), (False, b"HEADabc")])
async def test_an_upload_is_framed_as_it_must_be(chunked: bool, sent: bytes) -> None:
    """In chunks, or as it is where its length was told; an empty piece is no end."""

    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"a", b"", b"bc"):
            yield piece

    line, transport = new()
    line.ask(b"HEAD", pieces(), chunked=chunked, bodiless=False)
    await asyncio.sleep(0.01)
    feed(line, OK)

    assert (bytes(transport.written), (await heard(line)).body, await line.release()) == (sent, b"ok", True)


async def test_an_upload_has_ended_when_its_line_is_released() -> None:
    """Nothing goes on behind the asker's back."""
    ended = False

    async def never() -> AsyncIterator[bytes]:
        nonlocal ended
        try:
            yield b"a"
            await asyncio.sleep(3600)
        finally:
            ended = True

    line, _ = new()
    line.ask(b"HEAD", never(), chunked=True, bodiless=False)
    await asyncio.sleep(0.01)
    await line.release()

    assert ended


async def test_the_silence_between_two_bytes_may_be_shorter_than_the_one_before() -> None:
    """The clock that waits for the first byte does not go on waiting for the second."""
    line, _ = new(first_byte=60.0, idle=0.05)
    ask(line)
    feed(line, CHUNKED)

    with pytest.raises(Silence):
        await heard(line)
    await line.release()
