"""Timeouts, one for each phase and none for the whole; a worker that dies: what the client is told, what is kept."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
import pytest_asyncio

from gateway.memory.records import Scope
from tests.integration.conftest import House
from tests.integration.test_disconnect import event, said, turn_of
from tests.support.gateway import Running, running_gateway
from tests.support.raw import KEY, ask, chat, request, wire
from tests.support.upstream import SSE, Reply, scripted_upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENCE = {"connect_timeout": 0.5, "first_byte_timeout": 0.9, "idle_timeout": 0.8, "body_timeout": 0.8}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def built(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """A house whose gateway has little patience."""
    async with (
        scripted_upstream() as worker,
        running_gateway(tmp_path_factory.mktemp("data"), worker.url, drain_seconds=1.0, **PATIENCE) as gateway,
    ):
        yield House(worker, gateway)


def error(body: bytes) -> tuple[str, str]:
    """Type and code of an OpenAI error; anything else fails."""
    told = orjson.loads(body)["error"]
    assert set(told) == {"message", "type", "param", "code"}
    return told["type"], told["code"]


async def learned(house: Running, text: str) -> bool:
    """Whether a turn with this text is known anywhere, indexed or not."""
    await house.indexed()
    page = await house.services.memories.browse(Scope("local", "local"), limit=200)
    return any(memory.text == text for memory in page.items)


async def test_a_worker_that_is_silent_before_the_first_byte_times_out(house: House) -> None:
    """504, in OpenAI's words."""
    house.worker.reply(Reply(wait=60))

    answer = await chat(house.port, "Nobody answers this.")

    assert (answer.status, error(answer.body)) == (504, ("upstream_error", "upstream_timeout"))


async def test_a_turn_that_nobody_answered_is_not_learned(house: House) -> None:
    """Nothing was answered, so there is no turn; the client will ask again."""
    house.worker.reply(Reply(wait=60))

    await chat(house.port, "This times out.")

    assert not await learned(house.gateway, "This times out.")


async def test_a_turn_that_was_answered_with_an_error_is_not_learned(house: House) -> None:
    """An error status teaches nothing."""
    house.worker.reply(Reply(status=500, chunks=(b'{"error":{"message":"x"}}',)))

    await chat(house.port, "This fails.")

    assert not await learned(house.gateway, "This fails.")


async def test_a_stream_that_falls_silent_ends_with_an_error_event(house: House) -> None:
    """The head has gone, so the error comes as an event, and what was said is kept as a part."""
    house.worker.reply(Reply(headers=SSE, chunks=(event("Half"),), hang=True))
    async with wire(house.port) as client:
        await client.send(said("The worker falls asleep.", stream=True))
        answer = await client.response()

    *_, last, end = answer.body.split(b"\n\n")
    turn = await turn_of(house, "The worker falls asleep.")
    assert (error(last.removeprefix(b"data: ")), end) == (("upstream_error", "upstream_timeout"), b"")
    assert (turn.reply_text, turn.ending) == ("Half", "partial")


async def test_a_stream_whose_worker_dies_ends_with_an_error_event(house: House) -> None:
    """The same when the connection breaks."""
    house.worker.reply(Reply(headers=SSE, chunks=(event("Half"), b'data: {"choi'), drop=True))
    async with wire(house.port) as client:
        await client.send(said("The worker dies.", stream=True))
        answer = await client.response()

    turn = await turn_of(house, "The worker dies.")
    assert answer.body.startswith(event("Half"))
    assert error(answer.body.split(b"\n\n")[-2].removeprefix(b"data: ")) == ("upstream_error", "upstream_broke")
    assert (turn.reply_text, turn.ending) == ("Half", "partial")


async def test_a_json_answer_whose_worker_dies_stays_unfinished(house: House) -> None:
    """No byte of ours is mixed into a body that is not ours; the connection closes early, as the worker's did."""
    house.worker.reply(Reply(chunks=(b'{"choices":[{"message":', b'{"content":"x'), drop=True))
    async with wire(house.port) as client:
        await client.send(said("The worker dies in a JSON."))
        answer = await client.response()

    turn = await turn_of(house, "The worker dies in a JSON.")
    assert (answer.whole, b"error" in answer.body, turn.ending) == (False, False, "partial")


async def test_a_json_answer_with_a_length_whose_worker_dies_stays_unfinished(house: House) -> None:
    """The client counts fewer bytes than it was promised."""
    house.worker.reply(Reply(raw=b'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"choices"', drop=True))

    answer = await chat(house.port, "A hundred bytes were promised.")

    assert (answer.status, answer.whole) == (200, False)


async def test_an_error_inside_a_stream_passes_and_teaches_nothing(house: House) -> None:
    """vLLM reports some failures inside a 200: the client sees them, memory does not believe them."""
    broken = b'data: {"error":{"message":"CUDA","type":"InternalServerError","code":500}}\n\n'
    house.worker.reply(Reply(headers=SSE, chunks=(event("Hm"), broken, b"data: [DONE]\n\n")))
    async with wire(house.port) as client:
        await client.send(said("The model breaks.", stream=True))
        answer = await client.response()

    assert answer.body == event("Hm") + broken + b"data: [DONE]\n\n"
    assert not await learned(house.gateway, "The model breaks.")


async def test_a_slow_answer_is_no_timeout(house: House) -> None:
    """There is no total timeout: an answer may take many times the idle timeout, as long as it goes on."""
    chunks = tuple(event(str(i)) for i in range(11))
    house.worker.reply(Reply(headers=SSE, chunks=chunks, pause=0.1))
    async with wire(house.port) as client:
        await client.send(said("Take your time.", stream=True))
        answer = await client.response()

    assert answer.body == b"".join(chunks)


async def test_a_slow_upload_is_no_timeout(house: House) -> None:
    """The wait for the first byte begins when the request has ended."""
    async with wire(house.port) as client:
        await client.send(request(b"POST", b"/v1/files", headers=(KEY, (b"content-length", b"1100000"))))
        for _ in range(11):
            await client.send(b"x" * 100_000)
            await asyncio.sleep(0.1)
        answer = await client.response()

    assert (answer.status, len(house.worker.received[0].body)) == (200, 1_100_000)


@pytest.mark.parametrize("target", [b"/v1/chat/completions", b"/v1/embeddings"])
@pytest.mark.parametrize("begun", [10, 200_000])
async def test_a_body_that_stops_arriving_is_a_408(house: House, target: bytes, begun: int) -> None:
    """Slow-loris: also when the worker has been asked already and waits for the rest."""
    async with wire(house.port) as client:
        await client.send(request(b"POST", target, headers=(KEY, (b"content-length", b"900000"))) + b"x" * begun)
        answer = await client.response()
        closed = await client.reader.read()

    assert (answer.status, error(answer.body)[0], closed) == (408, "invalid_request_error", b"")


async def test_a_dead_worker_is_a_502(house: House, tmp_path: Path) -> None:
    """Nobody listens: OpenAI's shape, and the gateway goes on."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        async with running_gateway(tmp_path, url, drain_seconds=1.0) as gateway:
            first = await chat(gateway.port, "Is anybody there?")
            second = await ask(gateway.port, b"GET", b"/v1/models")

    assert (first.status, error(first.body)) == (502, ("upstream_error", "upstream_unreachable"))
    assert second.status == 502


async def test_a_worker_that_does_not_accept_is_a_502_after_the_connect_timeout(house: House, tmp_path: Path) -> None:
    """A full backlog swallows connections without a word; the connect timeout ends it, not the first byte's."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        stuffing = []
        for _ in range(8):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
            stuffing.append(one)
        async with running_gateway(
            tmp_path, f"http://127.0.0.1:{port}/v1", drain_seconds=1.0, connect_timeout=0.3, first_byte_timeout=60
        ) as gateway:
            answer = await chat(gateway.port, "Hello?")
        for one in stuffing:
            one.close()

    assert (answer.status, error(answer.body)) == (502, ("upstream_error", "upstream_unreachable"))
