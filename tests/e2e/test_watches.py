"""Standing queries by the official client: asked for in a request, told once, and under the operator's eyes."""

from typing import Any

import openai
import pytest

from tests.e2e.sdk import Conversation, sdk, tell
from tests.e2e.worker import Worker
from tests.support.gateway import Running

pytestmark = pytest.mark.asyncio(loop_scope="session")

ASKED = "Tell me when Ada's hive is sold."
SOLD = "Ada sold the hive to Olaf yesterday."
LINE = f"(you asked to be told: {ASKED}): {SOLD}"


async def listed(gateway: Running, user: str) -> list[dict[str, Any]]:
    """What the operator sees."""
    async with gateway.client(params={"user": user}) as client:
        items: list[dict[str, Any]] = (await client.get("/admin/watches")).json()["items"]
    return items


async def test_the_next_turn_is_told_and_no_other(worker: Worker, gateway: Running, user: str) -> None:
    """Whatever it is about; the turn that asks and the one that says it are told nothing."""
    async with sdk(f"{gateway.url}/v1", x_mneme_user=user) as client:
        states = []
        for text, options in (
            ("I look for a hive.", {"memory": {"watch": ASKED}}),
            (SOLD, {}),
            ("Good morning!", {}),
            ("Good evening!", {}),
        ):
            await tell(client, text, extra_body=options)
            await gateway.indexed()
            states.append((await listed(gateway, user))[0]["state"])

    assert [LINE in prompt for prompt in worker.prompts] == [False, False, True, False]
    assert states == ["waiting", "met", "told", "told"]
    assert "memory" not in worker.bodies[0]


async def test_in_one_conversation_the_line_stays_where_it_was_told(
    worker: Worker, gateway: Running, user: str
) -> None:
    """The prompt only grows, and holds it once."""
    async with sdk(f"{gateway.url}/v1", x_mneme_user=user) as client:
        talk = Conversation(client)
        await talk.say("I look for a hive.", extra_body={"memory": {"watch": ASKED}})
        for text in (SOLD, "Good morning!", "Good evening!"):
            await talk.say(text)
            await gateway.indexed()

    assert [prompt.count(LINE) for prompt in worker.prompts] == [0, 0, 1, 1]


async def test_it_is_told_to_nobody_else_and_to_no_turn_that_is_not_kept(
    worker: Worker, gateway: Running, user: str
) -> None:
    """It waits for a turn that keeps that it was told."""
    async with sdk(f"{gateway.url}/v1", x_mneme_user=user) as client:
        await tell(client, "I look for a hive.", extra_body={"memory": {"watch": ASKED}})
        await tell(client, SOLD)
        await gateway.indexed()
        await tell(client, "Good morning!", extra_headers={"X-Mneme-User": f"{user} 2"})
        await tell(client, "Good morning!", extra_headers={"X-Mneme-Memory": "read"})
        await tell(client, "Good day!")

    assert [LINE in prompt for prompt in worker.prompts] == [False, False, False, False, True]


async def test_an_operator_may_ask_for_a_user_and_forget_it(worker: Worker, gateway: Running, user: str) -> None:
    """What is forgotten is not told; secrets in it are not kept."""
    async with sdk(f"{gateway.url}/v1", x_mneme_user=user) as client, gateway.client(params={"user": user}) as desk:
        made = (await desk.post("/admin/watches", json={"text": ASKED})).json()
        other = await desk.post("/admin/watches", json={"text": "Tell me of sk-abcdefghijklmnopqrstuvwxyz012345."})
        await tell(client, SOLD)
        await gateway.indexed()
        gone = [(await desk.delete(f"/admin/watches/{made['id']}")).status_code for _ in range(2)]
        await tell(client, "Good morning!")

    assert made["state"] == "waiting" and made["turns"] == []
    assert "[secret removed]" in other.json()["text"]
    assert gone == [200, 404] and LINE not in worker.prompts[-1]


@pytest.mark.parametrize("watch", ["", "  ", 7, ["x"], "x" * 501])
async def test_what_cannot_be_watched_for_is_refused(worker: Worker, gateway: Running, user: str, watch: Any) -> None:
    """Before a worker is asked."""
    async with sdk(f"{gateway.url}/v1", x_mneme_user=user) as client:
        with pytest.raises(openai.BadRequestError, match=r"memory\.watch"):
            await tell(client, "Hello", extra_body={"memory": {"watch": watch}})

    assert worker.bodies == []
