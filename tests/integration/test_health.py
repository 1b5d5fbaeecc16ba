"""/health and /metrics: live, ready, degraded, down; and what is counted."""

import re
from pathlib import Path

import pytest

from gateway.errors import MemoryUnavailable
from gateway.services import Services
from tests.integration.conftest import House
from tests.integration.test_disconnect import event, said
from tests.support.gateway import running_gateway
from tests.support.raw import ask, chat, wire
from tests.support.upstream import SSE, Reply

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def number(house: House, name: str) -> float:
    """One sample of /metrics; 0 if it is not there yet."""
    page = await ask(house.port, b"GET", b"/metrics", headers=())
    found = re.search(rb"(?m)^" + re.escape(name.encode()) + rb" (\S+)$", page.body)
    return float(found[1]) if found else 0.0


async def fails() -> None:
    """A part that does not answer."""
    raise MemoryUnavailable("its details are nobody's business")


def pings(services: Services) -> dict[str, object]:
    """The table behind /health/ready, which a test may change."""
    assert isinstance(services.pings, dict)
    return services.pings


async def test_live_needs_nothing(house: House) -> None:
    """No key, no worker, no memory."""
    answer = await ask(house.port, b"GET", b"/health/live", headers=())

    assert (answer.status, answer.json()) == (200, {"status": "ok"})


async def test_ready_names_every_part(house: House) -> None:
    """Worker, memories, sessions, journal, agenda, embedder, registry."""
    answer = await ask(house.port, b"GET", b"/health/ready", headers=())

    parts = dict.fromkeys(["upstream", "memories", "sessions", "journal", "agenda", "embedder", "registry"], "ok")
    assert (answer.status, answer.json()) == (200, {"status": "ok", "parts": parts})


async def test_a_failing_memory_part_degrades(house: House) -> None:
    """Answers still come, so it stays ready; the part is named and nothing else is said."""
    table = pings(house.gateway.services)
    healthy = table["journal"]
    table["journal"] = fails
    answer = await ask(house.port, b"GET", b"/health/ready", headers=())
    table["journal"] = healthy

    assert (answer.status, answer.json()["status"], answer.json()["parts"]["journal"]) == (200, "degraded", "failing")
    assert b"business" not in answer.body


@pytest.mark.parametrize("status", [401, 500])
async def test_without_a_worker_it_is_down(house: House, status: int) -> None:
    """503 also when a worker is there and would not answer us."""
    healthy = house.worker.models
    house.worker.models = Reply(status=status)
    answer = await ask(house.port, b"GET", b"/health/ready", headers=())
    house.worker.models = healthy

    assert (answer.status, answer.json()["status"]) == (503, "down")


async def test_a_worker_that_cannot_be_reached_is_down(tmp_path: Path) -> None:
    """Live, but not ready."""
    async with running_gateway(tmp_path, "http://127.0.0.1:9/v1", drain_seconds=1.0) as gateway:
        ready = await ask(gateway.port, b"GET", b"/health/ready", headers=())
        live = await ask(gateway.port, b"GET", b"/health/live", headers=())

    assert (ready.status, ready.json()["status"], live.status) == (503, "down", 200)


async def test_answers_are_counted_by_mode_and_status(house: House) -> None:
    """Also those that the worker never gave."""
    name = 'mneme_answers_total{mode="on",status="5xx"}'
    before = await number(house, name)
    house.worker.reply(Reply(status=503), Reply(raw=b"no http", drop=True))

    await chat(house.port, "Hello there")
    await chat(house.port, "Hello there")

    assert await number(house, name) == before + 2


async def test_a_turn_and_the_verbs_are_counted(house: House) -> None:
    """One streamed turn: one final turn, one observation for each verb."""
    verbs = ("admit", "recall", "compose", "relay", "retain")
    names = ['mneme_turns_total{ending="final"}', *(f'mneme_verb_seconds_count{{verb="{verb}"}}' for verb in verbs)]
    before = [await number(house, name) for name in names]
    house.worker.reply(Reply(headers=SSE, chunks=(event("Hi"), b"data: [DONE]\n\n")))

    async with wire(house.port) as client:
        await client.send(said("Count this turn.", stream=True))
        await client.response()

    assert [await number(house, name) for name in names] == [count + 1 for count in before]


async def test_what_was_skipped_is_counted(house: House) -> None:
    """By a word from a closed set."""
    name = 'mneme_skipped_total{reason="no-user-message"}'
    before = await number(house, name)

    await chat(house.port, "x", messages=[{"role": "system", "content": "x"}])

    assert await number(house, name) == before + 1


async def test_the_page_is_prometheus_text(house: House) -> None:
    """Content type and the journal's state."""
    await house.gateway.indexed()

    answer = await ask(house.port, b"GET", b"/metrics", headers=())

    assert (answer.status, (answer.header(b"content-type") or b"").startswith(b"text/plain")) == (200, True)
    assert b"mneme_journal_pending 0.0" in answer.body
