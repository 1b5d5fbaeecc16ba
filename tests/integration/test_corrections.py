"""A fact, later its correction, then the question: through the real gateway, answered by the reader."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.support.gateway import Running, running_gateway
from tests.support.reader import MODEL, spawned_reader

pytestmark = pytest.mark.asyncio(loop_scope="module")

MAY, JUNE, JULY = "2026-05-04T10:00:00Z", "2026-06-12T10:00:00Z", "2026-07-01T10:00:00Z"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A gateway in front of the embedded reader."""
    with spawned_reader() as reader:
        async with running_gateway(tmp_path_factory.mktemp("data"), reader.url) as running:
            yield running


async def say(gateway: Running, session: str, at: str, *texts: str) -> tuple[str, dict[str, Any]]:
    """The last of a conversation's messages, said at a time; the reply's text and the trace."""
    messages = [{"role": "user", "content": text} for text in texts]
    body = {"model": MODEL, "messages": messages, "memory": {"at": at}}
    async with gateway.client(headers={"x-mneme-session": session}) as client:
        answer = await client.post("/v1/chat/completions", json=body)
        trace = await client.get(f"/admin/traces/{answer.headers['x-mneme-trace']}")
    return answer.json()["choices"][0]["message"]["content"], trace.json()


async def test_a_correction_leads_and_what_it_corrects_is_marked(gateway: Running) -> None:
    """Told in May, corrected in June in another session, asked in July in a third one."""
    await say(gateway, "one", MAY, "I live in Lisbon, close to the river.")
    await say(gateway, "two", JUNE, "Actually, I moved to Porto, so I live in Porto now.")
    await gateway.indexed()
    reply, trace = await say(gateway, "three", JULY, "In which city do I live?")

    assert "- Actually, I moved to Porto, so I live in Porto now. (Fri 12 Jun 2026)" in reply
    assert trace["injected"].splitlines()[1:3] == [
        "[Mon 04 May 2026] user (earlier, changed Fri 12 Jun 2026): I live in Lisbon, close to the river.",
        "[Fri 12 Jun 2026] user: Actually, I moved to Porto, so I live in Porto now.",
    ]
    newer, older = [hit for hit in trace["hits"] if "Porto" in hit["memory"]["text"] or hit["superseded"]]
    assert older["superseded"] == newer["memory"]["id"]


async def test_a_correction_within_a_conversation_changes_nothing_that_was_said(gateway: Running) -> None:
    """What was injected before stays as it was; the correction stands below it, and in the next one it leads."""
    await say(gateway, "four", MAY, "My boss is Karl.")
    await gateway.indexed()
    talk = ["Who is my boss?"]
    _, first = await say(gateway, "five", JUNE, *talk)
    talk += ["My new boss is Ines.", "Thank you. Who is my boss, then?"]
    await say(gateway, "five", JUNE, *talk[:2])
    await gateway.indexed()
    _, again = await say(gateway, "five", JUNE, *talk)
    _, later = await say(gateway, "six", JULY, "Please tell me, who is my boss?")

    assert "[Mon 04 May 2026] user: My boss is Karl." in first["injected"]
    assert "Karl" not in again["injected"]
    assert "user (earlier, changed Fri 12 Jun 2026): My boss is Karl." in later["injected"]
