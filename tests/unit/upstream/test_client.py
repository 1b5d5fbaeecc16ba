"""The client over real sockets: what it writes, when it waits, what it gives up, what it raises."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.errors import BadRequest, UpstreamBroke, UpstreamTimeout
from gateway.upstream.client import Patience, Upstream
from tests.support.puppet import OK, Puppet, puppet_worker, read_head

PATIENT = Patience(connect=5.0, first_byte=30.0, idle=30.0)
Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter


def upstream(puppet: Puppet, *, key: str = "", patience: Patience = PATIENT) -> Upstream:
    """A client of this puppet."""
    return Upstream(puppet.url, key, patience)


async def forever(first: bytes = b"") -> AsyncIterator[bytes]:
    """A body without an end."""
    yield first or b"x" * 65_536
    while True:
        yield b"x" * 65_536
        await asyncio.sleep(0)


async def test_a_request_is_what_was_asked_for_and_no_more() -> None:
    """The caller's headers in their order and spelling, less those of one connection; our own name and key."""
    heads = []

    async def notes(reader: Reader, writer: Writer) -> None:
        heads.append(await read_head(reader))
        writer.write(OK)

    async with puppet_worker() as puppet, upstream(puppet, key="secret") as client:
        await puppet.play(notes)
        given = [(b"x-b", b"\xe9"), (b"host", b"gateway"), (b"content-length", b"7"), (b"X-A", b""), (b"te", b"x")]
        async with client.send("POST", "/a%2Fb/../c?d=%20", given, b"body") as answer:
            await answer.whole()

        name = puppet.url.split("/")[2].encode()
        assert heads == [
            b"POST /v1/a%2Fb/../c?d=%20 HTTP/1.1\r\nhost: " + name + b"\r\nauthorization: Bearer secret\r\n"
            b"x-b: \xe9\r\ncontent-length: 4\r\nX-A: \r\n\r\n"
        ]


@pytest.mark.parametrize(
    ("path", "target"),
    [("/v1", b"/kv"), ("/proxy/v1/", b"/proxy/kv"), ("/openai", b"/openai/kv"), ("", b"/kv")],
)
async def test_what_goes_beside_a_base_url_stands_next_to_its_v1(path: str, target: bytes) -> None:
    """On the same connections; where there is no /v1, below it."""
    heads = []

    async def notes(reader: Reader, writer: Writer) -> None:
        heads.append(await read_head(reader))
        writer.write(OK)

    async with puppet_worker() as puppet:
        puppet.act = notes
        base_url = puppet.url.removesuffix("/v1") + path
        async with (
            Upstream(base_url, "", PATIENT) as client,
            client.send("GET", "/kv", [], b"", beside=True) as answer,
        ):
            await answer.whole()

    assert heads[0].startswith(b"GET %s HTTP/1.1\r\n" % target)


@pytest.mark.parametrize(
    ("method", "path", "header"),
    [
        ("GET /x HTTP/1.1\r\nx: y\r\n\r\nGET", "/", (b"a", b"b")),
        ("G T", "/", (b"a", b"b")),
        ("GÄT", "/", (b"a", b"b")),
        ("GET", "/ HTTP/1.1\r\nx:", (b"a", b"b")),
        ("GET", "/a b", (b"a", b"b")),
        ("GET", "/a\tb", (b"a", b"b")),
        ("GET", "/a\nb", (b"a", b"b")),
        ("GET", "/\u20ac", (b"a", b"b")),
        ("GET", "/", (b"a", b"b\r\nx: y")),
        ("GET", "/", (b"a", b"b\nx: y")),
        ("GET", "/", (b"a", b"b\rx: y")),
        ("GET", "/", (b"a", b"b\0")),
        ("GET", "/", (b"a: b\r\nc", b"d")),
    ],
)
async def test_what_would_write_another_request_is_refused(method: str, path: str, header: tuple[bytes, bytes]) -> None:
    """A line break or a space where none may be; the worker hears nothing."""
    async with puppet_worker() as puppet, upstream(puppet) as client:
        with pytest.raises(BadRequest):
            async with client.send(method, path, [header], b""):
                pass

        assert puppet.opened == 0


async def test_a_connection_is_used_again() -> None:
    """One after another, one is enough."""
    async with puppet_worker() as puppet, upstream(puppet) as client:
        for _ in range(20):
            async with client.send("GET", "/x", [], b"") as answer:
                await answer.whole()

        assert puppet.opened == 1


@pytest.mark.slow
async def test_connections_beyond_need_go_cold_and_are_closed_here() -> None:
    """Thirty at once are opened; one that goes on being asked is enough to keep one, and no more than one."""
    async with puppet_worker() as puppet, upstream(puppet) as client:

        async def ask(entered: asyncio.Barrier | None = None) -> None:
            async with client.send("GET", "/x", [], b"") as answer:
                await answer.whole()
                if entered is not None:
                    await entered.wait()

        crowd = asyncio.Barrier(30)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(30):
                tasks.create_task(ask(crowd))
        opened = len(puppet.open)
        async with asyncio.timeout(20):
            while len(puppet.open) > 1:
                await ask()
                await asyncio.sleep(0.1)
        await ask()

        assert (opened, len(puppet.open), puppet.opened) == (30, 1, 30)


async def test_a_large_body_that_is_held_can_be_sent_again() -> None:
    """The idle connection was closed; half a megabyte goes out on a new one, whole."""
    lengths = []

    async def once(reader: Reader, writer: Writer) -> None:
        await read_head(reader)
        writer.write(OK)
        await read_head(reader)

    async def whole(reader: Reader, writer: Writer) -> None:
        await read_head(reader)
        lengths.append(len(await reader.readexactly(500_000)))
        writer.write(OK)

    acts = [once, whole]
    async with puppet_worker() as puppet, upstream(puppet) as client:
        await puppet.play(lambda reader, writer: acts.pop(0)(reader, writer))
        async with client.send("GET", "/x", [], b"") as answer:
            await answer.whole()
        async with client.send("POST", "/x", [], b"y" * 500_000) as answer:
            await answer.whole()

        assert (lengths, answer.status) == ([500_000], 200)


async def test_an_early_answer_ends_the_upload() -> None:
    """A 413 while the body is still leaving: it is heard, the source is not asked for more, the connection goes."""
    pulled = 0

    async def counted() -> AsyncIterator[bytes]:
        nonlocal pulled
        async for piece in forever():
            pulled += 1
            yield piece

    async def too_large(reader: Reader, writer: Writer) -> None:
        await read_head(reader)
        await reader.readexactly(100_000)
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig")
        await reader.read()

    async with puppet_worker() as puppet, upstream(puppet) as client:
        await puppet.play(too_large)
        async with asyncio.timeout(10), client.send("POST", "/x", [], counted()) as answer:
            body = await answer.whole()
        at_end = pulled
        await asyncio.sleep(0.05)

        assert (answer.status, body, pulled, len(puppet.open)) == (413, b"big", at_end, 0)


async def test_an_upload_waits_for_a_worker_that_does_not_read() -> None:
    """The body stays with its source, not in our memory."""
    pulled = 0

    async def counted() -> AsyncIterator[bytes]:
        nonlocal pulled
        async for piece in forever():
            pulled += len(piece)
            yield piece

    async def deaf(reader: Reader, writer: Writer) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # asyncio's socket transports have it
        await asyncio.sleep(3600)

    impatient = Patience(connect=5.0, first_byte=0.5, idle=0.5)
    async with puppet_worker() as puppet, upstream(puppet, patience=impatient) as client:
        await puppet.play(deaf)
        with pytest.raises(UpstreamTimeout):
            async with asyncio.timeout(10), client.send("POST", "/x", [], counted()):
                pass

        assert pulled < 32 << 20


async def test_an_answer_waits_for_a_reader_that_does_not_fetch() -> None:
    """The worker is slowed down, nothing is lost, and a slow reader is not a silent worker."""
    sent = 0
    size = 64 << 20

    async def pours(reader: Reader, writer: Writer) -> None:
        nonlocal sent
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        while sent < size:
            writer.write(b"x" * (1 << 20))
            sent += 1 << 20
            await writer.drain()
        await asyncio.sleep(3600)

    impatient = Patience(connect=5.0, first_byte=5.0, idle=0.3)
    async with puppet_worker() as puppet, upstream(puppet, patience=impatient) as client:
        await puppet.play(pours)
        async with asyncio.timeout(30), client.send("GET", "/x", [], b"") as answer:
            await asyncio.sleep(0.8)
            before = sent
            body = await answer.whole()

        assert (before < size, len(body)) == (True, size)


async def test_what_the_bodys_source_raises_comes_out_as_it_is() -> None:
    """It is the caller's own error, and no failure of the worker."""

    class Own(Exception):
        pass

    async def breaks() -> AsyncIterator[bytes]:
        yield b"x"
        raise Own

    async with puppet_worker() as puppet, upstream(puppet) as client:
        with pytest.raises(Own):
            async with client.send("POST", "/x", [(b"content-length", b"9")], breaks()):
                pass


async def test_closing_cuts_what_is_running() -> None:
    """An answer without a length that we cut is told as broken, not as whole."""

    async def endless(reader: Reader, writer: Writer) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nsome of it")
        await asyncio.sleep(3600)

    async with puppet_worker() as puppet:
        await puppet.play(endless)
        client = upstream(puppet)
        async with client.send("GET", "/x", [], b"") as answer:
            await client.__aexit__(None, None, None)

            with pytest.raises(UpstreamBroke):
                await answer.whole()


async def test_giving_up_while_connecting_leaves_nothing() -> None:
    """A caller that is cancelled anywhere takes its connection along."""

    async def mute(reader: Reader, writer: Writer) -> None:
        await reader.read()

    async with puppet_worker() as puppet, upstream(puppet) as client:
        await puppet.play(mute)

        async def ask() -> None:
            async with client.send("POST", "/x", [], forever()) as answer:
                await answer.whole()

        for turns in range(12):
            task = asyncio.create_task(ask())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait((task,))
            assert task.cancelled()
        async with asyncio.timeout(5):
            while puppet.open:
                await asyncio.sleep(0.01)
