"""Things said on different days, then questions that name a time: through the real gateway, with the reader behind."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.gateway import Running, running_gateway
from tests.support.reader import MODEL, spawned_reader

pytestmark = pytest.mark.asyncio(loop_scope="module")

DAYS = {
    "2026-03-02": "We painted the kitchen in a very pale green.",
    "2026-03-31": "The neighbour's tortoise got stuck under our fence.",
    "2026-04-14": "I finally finished reading that novel about lighthouses.",
    "2026-05-05": "Our trip to Lisbon begins today, the bags are packed.",
    "2026-06-09": "The new bicycle has a flat tyre already.",
}
TUESDAY_IN_JUNE = "2026-06-16T10:00:00Z"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A gateway that was told one thing on each of the days."""
    with spawned_reader() as reader:
        async with running_gateway(tmp_path_factory.mktemp("data"), reader.url) as running:
            for day, text in DAYS.items():
                await injected(running, f"told on {day}", f"{day}T18:00:00Z", text)
            await running.indexed()
            yield running


async def injected(gateway: Running, session: str, at: str, text: str) -> list[str]:
    """The days whose text came with the message."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": text}], "memory": {"at": at}}
    async with gateway.client(headers={"x-mneme-session": session}) as client:
        answer = await client.post("/v1/chat/completions", json=body)
        trace = (await client.get(f"/admin/traces/{answer.headers['x-mneme-trace']}")).json()
    return [day for day, told in DAYS.items() if told in trace["injected"]]


@pytest.mark.parametrize(
    ("question", "days"),
    [
        ("What did we talk about last Tuesday?", ["2026-06-09"]),
        ("What did I say on 14 April 2026?", ["2026-04-14"]),
        ("What did I tell you in April?", ["2026-04-14"]),
        ("What did we talk about in March?", ["2026-03-02", "2026-03-31"]),
    ],
)
async def test_a_question_about_a_time_gets_what_was_said_then(
    gateway: Running, question: str, days: list[str]
) -> None:
    """Whatever the words were, and nothing of other times."""
    assert await injected(gateway, question, TUESDAY_IN_JUNE, question) == days


async def test_the_first_thing_ever_said_is_found(gateway: Running) -> None:
    """No word of the question stands in it."""
    assert "2026-03-02" in await injected(gateway, "first", TUESDAY_IN_JUNE, "What did I say first?")


async def test_a_time_may_be_counted_from_an_event(gateway: Running) -> None:
    """Five weeks before the trip to Lisbon, which began on 5 May, was the end of March."""
    question = "What got stuck five weeks before the trip to Lisbon?"

    assert "2026-03-31" in await injected(gateway, "counted", TUESDAY_IN_JUNE, question)
