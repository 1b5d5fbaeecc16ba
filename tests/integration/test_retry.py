"""Asking twice: only on a connection that was dead already, only while nothing came back, only with a body we hold."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import cast

import pytest
import pytest_asyncio

from tests.support.gateway import Running, running_gateway
from tests.support.puppet import OK, Act, Puppet, obey, puppet_worker, read_head
from tests.support.raw import KEY, ask, chat, request, wire

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class Stage:
    """A puppet and the gateway in front of it."""

    puppet: Puppet
    gateway: Running

    async def plays(self, *acts: Act) -> list[bytes]:
        """One act per connection, the last one for all that follow; the list fills with the heads that were read."""
        heads: list[bytes] = []
        waiting = list(acts)

        async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            listening = cast(asyncio.StreamReader, _Listening(reader, heads))
            await (waiting.pop(0) if len(waiting) > 1 else waiting[0])(listening, writer)

        await self.puppet.play(act)
        return heads


class _Listening:
    """A reader that notes the heads that pass."""

    def __init__(self, reader: asyncio.StreamReader, heads: list[bytes]) -> None:
        self._reader, self._heads = reader, heads

    async def readuntil(self, separator: bytes) -> bytes:
        data = await self._reader.readuntil(separator)
        if b"/models" in data:  # the gateway asks for them by itself
            raise ConnectionResetError
        self._heads.append(data)
        return data

    def __getattr__(self, name: str) -> object:
        return getattr(self._reader, name)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """The stage, with the gateway's own question for /models answered."""
    async with (
        puppet_worker() as puppet,
        running_gateway(tmp_path_factory.mktemp("data"), puppet.url, drain_seconds=1.0) as gateway,
    ):
        await gateway.services.pings["upstream"]()  # by now the gateway's own question has been answered too
        yield Stage(puppet, gateway)


def once(then: bytes) -> Act:
    """Answer the first request, read the second, say `then` and close: a kept-alive connection that has gone stale."""

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(OK)
        await read_head(reader)
        writer.write(then)

    return act


async def test_a_stale_connection_is_asked_again(stage: Stage) -> None:
    """The worker had closed the idle connection: the client never hears of it."""
    heads = await stage.plays(once(b""), obey)
    await ask(stage.gateway.port, b"GET", b"/v1/one")

    answer = await ask(stage.gateway.port, b"GET", b"/v1/two")

    assert (answer.status, [head.split(b" ")[1] for head in heads]) == (200, [b"/v1/one", b"/v1/two", b"/v1/two"])


async def test_a_stale_connection_is_asked_again_with_a_small_body(stage: Stage) -> None:
    """An embedding request is small enough to be held, so it can be sent twice."""
    heads = await stage.plays(once(b""), obey)
    await ask(stage.gateway.port, b"GET", b"/v1/one")

    answer = await ask(stage.gateway.port, b"POST", b"/v1/embeddings", b'{"input":"x"}')

    assert (answer.status, len(heads)) == (200, 3)


async def test_it_is_asked_again_once_only(stage: Stage) -> None:
    """A worker that closes on every request is asked twice, then named."""

    async def closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)

    heads = await stage.plays(once(b""), closes)
    await ask(stage.gateway.port, b"GET", b"/v1/one")

    answer = await ask(stage.gateway.port, b"GET", b"/v1/two")

    assert (answer.status, answer.json()["error"]["code"], len(heads)) == (502, "upstream_broke", 3)


@pytest.mark.parametrize("begun", [b"HTTP/1.1 200 OK\r\ncontent-le", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 2", b"H"])
async def test_it_is_not_asked_again_once_a_byte_came_back(stage: Stage, begun: bytes) -> None:
    """A worker that has begun to answer has done the work; asking again would do it twice."""
    heads = await stage.plays(once(begun), obey)
    await ask(stage.gateway.port, b"GET", b"/v1/one")

    answer = await ask(stage.gateway.port, b"GET", b"/v1/two")

    assert (answer.status, len(heads)) == (502, 2)


async def test_a_fresh_connection_is_not_asked_again(stage: Stage) -> None:
    """A worker that closes a new connection has seen the request and may have acted on it."""

    async def closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)

    heads = await stage.plays(closes)

    answers = await chat(stage.gateway.port, "Hello"), await ask(stage.gateway.port, b"GET", b"/v1/x")

    assert ([answer.status for answer in answers], len(heads)) == ([502, 502], 2)


async def test_a_streamed_body_is_not_sent_again(stage: Stage) -> None:
    """What was not held is gone."""
    heads = await stage.plays(once(b""), obey)
    await ask(stage.gateway.port, b"GET", b"/v1/one")

    answer = await ask(stage.gateway.port, b"POST", b"/v1/files", b"x" * 200_000)

    assert (answer.status, len(heads)) == (502, 2)


async def test_a_worker_that_answers_before_the_body_is_whole_is_heard(stage: Stage) -> None:
    """An early 413 reaches the client while it is still sending."""

    async def too_large(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        await reader.readexactly(1000)
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbig")
        await reader.read()

    await stage.plays(too_large)
    async with wire(stage.gateway.port) as client:
        await client.send(request(b"POST", b"/v1/files", headers=(KEY, (b"content-length", b"5000000"))))
        await client.send(b"x" * 500_000)
        answer = await client.response()

    assert (answer.status, answer.body) == (413, b"big")


async def test_a_large_upload_is_not_held_back(stage: Stage) -> None:
    """The worker has the beginning of an upload before the client has sent its end."""
    arrived = asyncio.Event()

    async def notes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        await reader.readexactly(400_000)
        arrived.set()
        await reader.readexactly(600_000)
        writer.write(OK)

    await stage.plays(notes)
    async with wire(stage.gateway.port) as client:
        await client.send(request(b"POST", b"/v1/files", headers=(KEY, (b"content-length", b"1000000"))))
        await client.send(b"x" * 500_000)
        async with asyncio.timeout(5):
            await arrived.wait()
        await client.send(b"x" * 500_000)
        answer = await client.response()

    assert answer.status == 200


async def test_leaving_during_an_upload_closes_the_workers_connection(stage: Stage) -> None:
    """The worker must not wait for the rest of a body whose sender has gone."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def waits(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        begun.set()
        try:
            await reader.readexactly(1_000_000)
        finally:
            ended.set()

    await stage.plays(waits)
    async with wire(stage.gateway.port) as client:
        await client.send(request(b"POST", b"/v1/files", headers=(KEY, (b"content-length", b"1000000"))))
        await client.send(b"x" * 500_000)
        async with asyncio.timeout(5):
            await begun.wait()
        client.leave()
        async with asyncio.timeout(5):
            await ended.wait()
