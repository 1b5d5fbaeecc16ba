"""Promise 3: a client that leaves aborts the worker at once, in every phase, and loses nothing that was said."""

import asyncio
import time
from collections.abc import Callable

import orjson
import pytest

from gateway.memory.records import Scope, Turn
from tests.integration.conftest import House
from tests.support.raw import CHAT, KEY, OFF, Wire, request, wire
from tests.support.upstream import JSON, SSE, Reply

pytestmark = pytest.mark.asyncio(loop_scope="module")

ME = Scope("local", "local")
# The promise is 100 ms; machines that run tests are busy, so the assertion is generous and the bench measures.
SOON = 1.0


def said(text: str, **fields: object) -> bytes:
    """A chat request."""
    return request(
        b"POST",
        CHAT,
        orjson.dumps({"model": "m", "messages": [{"role": "user", "content": text}], **fields}),
        (KEY, *JSON),
    )


def event(content: str) -> bytes:
    """One event of a stream."""
    return b"data: " + orjson.dumps({"choices": [{"index": 0, "delta": {"content": content}}]}) + b"\n\n"


async def aborted(house: House, client: Wire) -> float:
    """Seconds from leaving until the worker's connection closed."""
    began = time.perf_counter()
    client.leave()
    async with asyncio.timeout(10):
        await house.worker.aborted.wait()
    return time.perf_counter() - began


async def turn_of(house: House, text: str) -> Turn:
    """The journalled turn with this text, as soon as it is there."""
    journal, memories = house.gateway.services.journal, house.gateway.services.memories
    async with asyncio.timeout(5):
        while True:
            page = await memories.browse(ME, limit=200)
            for turn in await journal.turns(ME, [memory.id for memory in page.items]):
                if turn.user_text == text:
                    return turn
            await asyncio.sleep(0.01)


async def until(done: Callable[[], bool]) -> None:
    """Wait for something that happens in another task."""
    async with asyncio.timeout(5):
        while not done():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("memory", [(), (OFF,)], ids=["on", "off"])
async def test_leaving_before_the_first_byte_aborts(
    house: House, stream: bool, memory: tuple[tuple[bytes, bytes], ...]
) -> None:
    """While the worker is still reading the prompt, streaming or not."""
    house.worker.reply(Reply(wait=60))
    body = orjson.dumps({"messages": [{"role": "user", "content": "Wait"}], "stream": stream})
    async with wire(house.port) as client:
        await client.send(request(b"POST", CHAT, body, (KEY, *memory)))
        await until(lambda: bool(house.worker.received))

        assert await aborted(house, client) < SOON


@pytest.mark.parametrize("memory", [(), (OFF,)], ids=["on", "off"])
async def test_leaving_in_the_middle_of_a_stream_aborts(house: House, memory: tuple[tuple[bytes, bytes], ...]) -> None:
    """After some events."""
    house.worker.reply(Reply(headers=SSE, chunks=(event("Once"), event(" upon")), hang=True))
    body = orjson.dumps({"messages": [{"role": "user", "content": "Tell"}], "stream": True})
    async with wire(house.port) as client:
        await client.send(request(b"POST", CHAT, body, (KEY, *memory)))
        await client.head()
        await client.chunk()

        assert await aborted(house, client) < SOON


async def test_a_client_that_stops_reading_and_leaves_aborts(house: House) -> None:
    """Also while the answer is stuck on its way to a client that does not take it."""
    house.worker.reply(Reply(headers=SSE, chunks=(event("x" * 100_000),) * 300))
    async with wire(house.port) as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # asyncio's socket transports have it
        await client.send(said("Too much to read.", stream=True))
        await until(lambda: bool(house.worker.received))
        await asyncio.sleep(0.3)

        assert await aborted(house, client) < SOON


async def test_leaving_in_the_middle_of_a_json_answer_aborts(house: House) -> None:
    """A body that has begun to arrive is no reason to finish it."""
    house.worker.reply(Reply(chunks=(b'{"choices":', b"["), hang=True))
    async with wire(house.port) as client:
        await client.send(said("Half a JSON"))
        await client.head()

        assert await aborted(house, client) < SOON


async def test_leaving_a_pass_through_route_aborts(house: House) -> None:
    """Every path, not only chat."""
    house.worker.reply(Reply(wait=60))
    async with wire(house.port) as client:
        await client.send(request(b"POST", b"/v1/completions", b'{"prompt":"x"}'))
        await until(lambda: bool(house.worker.received))

        assert await aborted(house, client) < SOON


async def test_leaving_with_another_question_in_the_line_aborts(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """It is noticed at the next event, because nothing is read while a question waits; and it is no failure of ours."""
    house.worker.reply(Reply(headers=SSE, chunks=(event("drip "),) * 300, pause=0.01))
    async with wire(house.port) as client:
        await client.send(said("Drip", stream=True) + said("And then?"))
        await client.head()
        await client.chunk()

        assert await aborted(house, client) < SOON
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


async def test_what_was_said_in_a_cut_stream_is_kept_as_a_part(house: House) -> None:
    """The user's message and the piece of the reply, marked partial; a half event is left out."""
    house.worker.reply(Reply(headers=SSE, chunks=(event("Once"), event(" upon") + b'data: {"choi'), hang=True))
    async with wire(house.port) as client:
        await client.send(said("My cat Miso likes stories.", stream=True))
        await client.head()
        seen = b""
        while b"upon" not in seen:
            seen += await client.chunk()
        await aborted(house, client)

    turn = await turn_of(house, "My cat Miso likes stories.")
    assert (turn.reply_text, turn.ending) == ("Once upon", "partial")


async def test_what_was_asked_for_a_cut_json_answer_is_kept_as_a_part(house: House) -> None:
    """The reply cannot be read, the user's message can."""
    house.worker.reply(Reply(chunks=(b'{"choices":', b"["), hang=True))
    async with wire(house.port) as client:
        await client.send(said("My cat Miso hates JSON."))
        await client.head()
        await aborted(house, client)

    turn = await turn_of(house, "My cat Miso hates JSON.")
    assert (turn.reply_text, turn.ending) == ("", "partial")


async def test_an_answer_that_was_cut_is_replaced_by_the_one_that_was_not(house: House) -> None:
    """The same turn asked again and answered whole is one turn."""
    text = "My cat Miso sleeps on the piano."
    house.worker.reply(Reply(headers=SSE, chunks=(event("So"),), hang=True))
    async with wire(house.port) as client:
        await client.send(said(text, stream=True))
        await client.head()
        await client.chunk()
        await aborted(house, client)
    cut = await turn_of(house, text)

    house.worker.reply(Reply(headers=SSE, chunks=(event("So it does."), b"data: [DONE]\n\n")))
    async with wire(house.port) as client:
        await client.send(said(text, stream=True))
        await client.response()

    (whole,) = await house.gateway.services.journal.turns(ME, [cut.id])
    assert (whole.reply_text, whole.ending) == ("So it does.", "final")


async def test_leaving_during_the_body_asks_nobody(house: House) -> None:
    """A chat body that never became whole never reaches the worker."""
    async with wire(house.port) as client:
        await client.send(said("Unfinished")[:-5])
        await asyncio.sleep(0.05)
        client.leave()
    async with wire(house.port) as client:
        await client.ask(b"GET", b"/v1/x")

    assert [received.target for received in house.worker.received] == [b"/v1/x"]


async def test_nothing_is_left_behind(house: House) -> None:
    """After clients have left in every phase, there are as many tasks as before."""
    before = len(asyncio.all_tasks())
    for reply in (
        Reply(wait=60),
        Reply(headers=SSE, chunks=(event("a"),), hang=True),
        Reply(chunks=(b"{", b"["), hang=True),
    ):
        for _ in range(5):
            house.worker.aborted.clear()
            house.worker.reply(reply)
            heard = len(house.worker.received)
            async with wire(house.port) as client:
                await client.send(said("Leaving", stream=True))
                await until(lambda heard=heard: len(house.worker.received) > heard)  # type: ignore[misc]
                await aborted(house, client)

    await until(lambda: len(asyncio.all_tasks()) <= before)
