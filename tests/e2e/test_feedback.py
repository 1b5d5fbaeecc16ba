"""Feedback by the official client: on a route of its own, and along with a later question."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import openai
import pytest
import pytest_asyncio
from openai import AsyncOpenAI

from gateway.memory.filters import Filter
from gateway.memory.records import Memory, Scope
from gateway.memory.thoughts import Feedback
from tests.e2e.sdk import sdk
from tests.e2e.worker import MODEL, Worker
from tests.support.gateway import Running, running_gateway

pytestmark = pytest.mark.asyncio(loop_scope="session")

KEYS = "key-acme:acme,key-beta:beta,key-solo:solo:single-user"
TASK = "Sort the list 3 1 2 in ascending order."


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared(the_worker: Worker, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A gateway with two per-user keys and a single-user key."""
    async with running_gateway(tmp_path_factory.mktemp("feedback"), the_worker.url, keys=KEYS) as running:
        yield running


async def ask(client: AsyncOpenAI, text: str = TASK, **options: Any) -> tuple[str, str]:
    """The answer's trace and its own id."""
    messages: Any = [{"role": "user", "content": text}]
    raw = await client.chat.completions.with_raw_response.create(model=MODEL, messages=messages, **options)
    return raw.headers["x-mneme-trace"], raw.parse().id


async def tell(client: AsyncOpenAI, **fields: Any) -> dict[str, Any]:
    """POST /v1/feedback."""
    return cast(dict[str, Any], await client.post("/feedback", body=fields, cast_to=object))


async def told(gateway: Running, scope: Scope) -> list[Feedback | None]:
    """What the journal holds of it, turn by turn."""
    return [kept.turn.feedback for kept in (await gateway.services.journal.kept(scope)).items]


async def test_feedback_reaches_the_turn_and_no_worker(worker: Worker, shared: Running, user: str) -> None:
    """By the trace that the answer's header names; what was kept of it is the answer."""
    async with sdk(f"{shared.url}/v1", key="key-acme", x_mneme_user=user) as client:
        trace, _ = await ask(client)
        kept = await tell(client, trace=trace, outcome="failure", score=0.25, text="Descending, not ascending.")

    (feedback,) = await told(shared, Scope("acme", user))
    assert feedback and (feedback.outcome, feedback.score, feedback.text) == (
        "failure",
        0.25,
        "Descending, not ascending.",
    )
    assert kept["object"] == "feedback" and kept["trace"] == trace and kept["feedback"]["at"] == feedback.at
    assert len(worker.bodies) == 1


async def test_the_answer_s_own_id_will_do(worker: Worker, shared: Running, user: str) -> None:
    """On a single-user key nobody has to be named; streamed or not."""
    async with sdk(f"{shared.url}/v1", key="key-solo") as client:
        messages: Any = [{"role": "user", "content": f"{TASK} Call me {user}."}]
        stream = await client.chat.completions.create(model=MODEL, messages=messages, stream=True)
        (id,) = {chunk.id async for chunk in stream}
        await tell(client, response_id=id, outcome="success")

    (feedback,) = await told(shared, Scope("solo", "solo"))
    assert feedback and feedback.outcome == "success"


@pytest.mark.parametrize(
    ("key", "who"), [("key-acme", "-other"), ("key-acme", "*"), ("key-beta", ""), ("key-solo", "")], ids=str
)
async def test_what_is_not_yours_is_not_there(worker: Worker, shared: Running, user: str, key: str, who: str) -> None:
    """The same 404 as for an id that never was, by trace and by id."""
    async with sdk(f"{shared.url}/v1", key="key-acme", x_mneme_user=user) as client:
        trace, id = await ask(client)
    messages = []
    async with sdk(f"{shared.url}/v1", key=key, x_mneme_user=f"{user}{who}") as client:
        for named in ({"trace": trace}, {"response_id": id}, {"trace": "0" * 32}):
            with pytest.raises(openai.NotFoundError) as refused:
                await tell(client, **named, outcome="failure")
            messages.append(refused.value.message)

    assert len(set(messages)) == 1
    assert await told(shared, Scope("acme", user)) == [None]


async def test_nobody_named_is_refused(worker: Worker, shared: Running) -> None:
    """A per-user key gives feedback in somebody's name."""
    async with sdk(f"{shared.url}/v1", key="key-acme") as client:
        with pytest.raises(openai.BadRequestError, match="Name the user"):
            await tell(client, trace="0" * 32, outcome="success")
    async with sdk(f"{shared.url}/v1", key="nobody's") as client:
        with pytest.raises(openai.AuthenticationError):
            await tell(client, trace="0" * 32, outcome="success")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"trace":"x","outcome":"success","text":"\\ud800"}', b"1" * 70_000]
)
async def test_what_is_no_feedback_is_refused(shared: Running, body: bytes) -> None:
    """With OpenAI's error object, and never a 5xx."""
    async with shared.client(headers={"authorization": "Bearer key-solo"}) as client:
        answer = await client.post("/v1/feedback", content=body)

    assert answer.status_code in (400, 413) and answer.json()["error"]["type"] == "invalid_request_error"


async def test_a_later_question_brings_it_along(worker: Worker, shared: Running, user: str) -> None:
    """In its metadata; its own answer is as ever, and what is told of no answer of this user's shows in the trace."""
    async with sdk(f"{shared.url}/v1", key="key-acme", x_mneme_user=user) as client:
        _, id = await ask(client)
        metadata = {"mneme_feedback": "success", "mneme_feedback_text": "Right and fast."}
        await ask(client, "Now sort 9 8.", metadata={**metadata, "mneme_feedback_for": id})
        lost, _ = await ask(client, "And 7 6.", metadata={**metadata, "mneme_feedback_for": "chatcmpl-none"})

    first, *rest = await told(shared, Scope("acme", user))
    assert first and (first.outcome, first.text) == ("success", "Right and fast.") and rest == [None, None]
    found = await shared.services.sessions.find_trace("acme", lost)
    assert found and found.skipped == ("feedback-unknown",)
    assert worker.bodies[1]["metadata"]["mneme_feedback"] == "success"


async def test_what_was_told_is_thought_about(worker: Worker, tmp_path: Path) -> None:
    """The experience that was made of the turn is one that failed, and says why; there is one of it."""
    running = running_gateway(tmp_path / "data", worker.upstream.url, policy="exprag", reflect_idle=0.0)
    async with running as gateway, sdk(f"{gateway.url}/v1") as client:
        trace, _ = await ask(client)
        await settled(gateway, "")
        await tell(client, trace=trace, outcome="failure", text="Descending, not ascending.")
        (lived,) = await settled(gateway, "failure")

    assert lived.version == 2 and lived.reply.endswith("Told of it: Descending, not ascending.")


async def settled(gateway: Running, outcome: str) -> list[Memory]:
    """The experiences of the local user, once there is one with this outcome."""
    async with asyncio.timeout(20):
        while True:
            page = await gateway.services.memories.browse(Scope("local", "local"), Filter(kind="experience"))
            if outcome in {memory.thought.outcome for memory in page.items if memory.thought}:
                return [*page.items]
            await asyncio.sleep(0.05)


async def test_metadata_that_nobody_understands_is_refused(worker: Worker, shared: Running, user: str) -> None:
    """Before a worker is asked."""
    async with sdk(f"{shared.url}/v1", key="key-acme", x_mneme_user=user) as client:
        with pytest.raises(openai.BadRequestError, match="mneme_feedback"):
            await ask(client, metadata={"mneme_feedback": "great", "mneme_feedback_for": "x"})

    assert worker.bodies == []
