"""Promises 3 and 8: the turn is durable before the client can know that its answer is whole; a memory that is stuck
costs a stated time and no more."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.integration.conftest import House
from tests.integration.test_disconnect import event, said
from tests.support.gateway import running_gateway
from tests.support.raw import Wire, chat, wire
from tests.support.upstream import SSE, Reply, scripted_upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

DONE = b"data: [DONE]\n\n"
RECALL, RETAIN = 0.3, 0.5


@dataclass(frozen=True)
class Open(House):
    """A house whose journal can be looked into from outside."""

    data: Path

    def holds(self, text: str) -> bool:
        """Whether another process would find a turn with this text in the journal now."""
        with closing(sqlite3.connect(f"file:{self.data / 'mneme.db'}?mode=ro", uri=True)) as other:
            rows = other.execute("SELECT count(*) FROM turns WHERE instr(body, ?)", (text.encode(),)).fetchone()
        return bool(rows[0])

    @contextmanager
    def stuck(self) -> Iterator[None]:
        """Another process holds the write lock."""
        with closing(sqlite3.connect(self.data / "mneme.db", isolation_level=None, timeout=5)) as other:
            other.execute("BEGIN IMMEDIATE")
            try:
                yield
            finally:
                other.execute("ROLLBACK")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def built(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Open]:
    """A house with short deadlines."""
    data = tmp_path_factory.mktemp("data")
    deadlines = {"recall_deadline": RECALL, "retain_deadline": RETAIN}
    async with (
        scripted_upstream() as worker,
        running_gateway(data, worker.url, drain_seconds=1.0, **deadlines) as gateway,
    ):
        yield Open(worker, gateway, data)


@pytest.fixture
def open_house(house: House) -> Open:
    """The house of this file."""
    assert isinstance(house, Open)
    return house


async def read_until(client: Wire, mark: bytes) -> bytes:
    """Chunks up to and with the one that holds the mark."""
    seen = b""
    while mark not in seen:
        seen += await client.chunk()
    return seen


@pytest.mark.parametrize(
    "chunks",
    [
        (event("Yes"), DONE),
        (event("Yes") + DONE,),
        (event("Yes"), b"data: [DO", b"NE]\n\n"),
        (event("Yes"), b"data:[DONE]\r\n\r\n"),
        (event("Yes"), DONE, b": after\n\n"),
    ],
)
async def test_the_turn_is_in_the_journal_before_done_arrives(open_house: Open, chunks: tuple[bytes, ...]) -> None:
    """At the moment the client reads `[DONE]`, another process finds the turn."""
    text = f"A stream that is cut like {len(chunks)} {len(chunks[0])}."
    open_house.worker.reply(Reply(headers=SSE, chunks=chunks, hang=True))
    async with wire(open_house.port) as client:
        await client.send(said(text, stream=True))
        await client.head()
        await read_until(client, b"E]")

        assert open_house.holds(text)


async def test_the_events_before_done_are_not_held_back(open_house: Open) -> None:
    """Only the last byte waits for the journal."""
    open_house.worker.reply(Reply(headers=SSE, chunks=(event("Now"),), hang=True))
    async with wire(open_house.port) as client, asyncio.timeout(5):
        await client.send(said("Say it now, please.", stream=True))
        await client.head()

        assert await client.chunk() == event("Now")


async def test_the_turn_is_in_the_journal_before_a_json_answer_is_whole(open_house: Open) -> None:
    """The last piece of any other answer waits as well."""
    open_house.worker.reply(Reply(chunks=(b'{"choices":[{"message":', b'{"content":"Yes"}}]}'), pause=0.02))

    answer = await chat(open_house.port, "Turn of a JSON answer.")

    assert (answer.whole, open_house.holds("Turn of a JSON answer.")) == (True, True)


async def test_a_stuck_journal_delays_the_end_by_its_deadline_and_no_more(open_house: Open) -> None:
    """The events come at once, `[DONE]` after MNEME_RETAIN_DEADLINE."""
    open_house.worker.reply(Reply(headers=SSE, chunks=(event("Yes"), DONE)))
    with open_house.stuck():
        async with wire(open_house.port) as client:
            await client.send(said("The journal is stuck now.", stream=True))
            await client.head()
            await client.chunk()
            began = time.perf_counter()
            await read_until(client, b"[DONE]")
            took = time.perf_counter() - began

    assert RETAIN * 0.8 < took < RETAIN + 3


async def test_a_turn_that_met_a_stuck_journal_is_written_afterwards(open_house: Open) -> None:
    """It waits in the queue; what happened is counted."""
    skipped = open_house.gateway.services.telemetry.skipped.labels("journal-deadline")
    counted = skipped._value.get()
    open_house.worker.reply(Reply(chunks=(b'{"choices":[{"message":{"content":"Yes"}}]}',)))
    with open_house.stuck():
        answer = await chat(open_house.port, "This is written late.")
        early = open_house.holds("This is written late.")

    async with asyncio.timeout(15):
        while not open_house.holds("This is written late."):
            await asyncio.sleep(0.02)
    assert (answer.whole, early, skipped._value.get()) == (True, False, counted + 1)


async def test_a_stuck_journal_does_not_delay_the_question(open_house: Open) -> None:
    """The worker is asked while the journal still waits for its lock."""
    open_house.worker.reply(Reply(headers=SSE, chunks=(event("Yes"),), hang=True))
    with open_house.stuck():
        async with wire(open_house.port) as client, asyncio.timeout(5):
            await client.send(said("Is anybody writing?", stream=True))

            assert (await client.head()).status == 200


async def test_a_stalled_memory_costs_the_recall_deadline_and_no_more(open_house: Open, tmp_path: Path) -> None:
    """An embedder that does not answer: the question goes to the worker without memory, and a header says so."""

    async def asleep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b'"input":["' in (await reader.readuntil(b"}")):
            await _probe_or_sleep(writer, awake)

    awake = asyncio.Event()
    awake.set()
    server = await asyncio.start_server(asleep, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    embedder = {"embedder": "http", "embedder_url": url, "embedder_model": "e", "recall_deadline": RECALL}
    async with running_gateway(tmp_path, open_house.worker.url, drain_seconds=0.0, **embedder) as gateway:
        awake.clear()
        began = time.perf_counter()
        answer = await chat(gateway.port, "Where does my sister keep bees?")
        took = time.perf_counter() - began
        awake.set()
    server.close()

    assert (answer.status, answer.skipped, answer.header(b"x-mneme-count")) == (200, [b"recall-deadline"], b"0")
    assert RECALL * 0.8 < took < RECALL + 3


async def _probe_or_sleep(writer: asyncio.StreamWriter, awake: asyncio.Event) -> None:
    """Answer as an embedding server does, once it is awake."""
    await awake.wait()
    body = b'{"data":[{"index":0,"embedding":[0.6,0.8]}]}'
    writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
    writer.close()
