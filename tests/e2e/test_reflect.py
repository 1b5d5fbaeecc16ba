"""Thinking in a real process: what was made of turns shows, stands in the next prompt once, is taken back, and goes
with its evidence and its user; killed in the middle of it, all of it is done once."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI

from tests.e2e.sdk import sdk, tell
from tests.e2e.worker import Worker
from tests.prove.forgetting.search import in_files
from tests.support.gateway import ROOT, spawned_gateway

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

TASK, ADVICE = "How do I get rid of the wasps near my hives?", "Set a trap with zanzibar syrup at dusk."
AGAIN = "How do I get rid of the wasps near the hives of my sister?"
LONG = "The queen lays her eggs in spring and the workers raise them. " * 30
CHILD = """
import asyncio, os, signal, sys, time
from dataclasses import replace
from gateway.settings import Settings
from gateway.telemetry import Telemetry
from gateway.tracing import UNTRACED
from gateway.wiring.thinking import open_thinker
from gateway.wiring.tier import open_tier

class Deadly:
    def __init__(self, store):
        self.store = store

    def __getattr__(self, name):
        return getattr(self.store, name)

    async def put(self, entries):
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    settings = Settings(data=sys.argv[1], policy="exprag")
    async with open_tier(settings, UNTRACED) as tier:
        curator = replace(tier.curator, memories=Deadly(tier.memories))
        dying = replace(tier, reviser=replace(tier.reviser, curator=curator))
        async with open_thinker(settings, dying, Telemetry()) as thinker:
            await thinker.think(time.time() + 86_400)

asyncio.run(main())
"""


@dataclass(frozen=True)
class Thinking:
    """A gateway that thinks about every turn at once: an operator's client, and a user's."""

    desk: httpx.AsyncClient
    client: AsyncOpenAI
    user: str

    async def get(self, path: str, **params: Any) -> Any:
        """What a route under /admin tells of the user."""
        answer = await self.desk.get(f"/admin{path}", params={"user": self.user, **params})
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def made(self, policy: str) -> list[dict[str, Any]]:
        """What the policy made."""
        items: list[dict[str, Any]] = (await self.get("/memories", policy=policy))["items"]
        return items

    async def thought(self, times: int = 1) -> list[dict[str, Any]]:
        """The reflections, once there are so many that were carried out."""
        async with asyncio.timeout(30):
            while True:
                items: list[dict[str, Any]] = (await self.get("/reflections", state="applied"))["items"]
                if len(items) >= times:
                    return items
                await asyncio.sleep(0.1)

    async def ask(self, text: str, **memory: Any) -> None:
        """A question in a conversation of its own that leaves nothing behind."""
        headers = {"X-Mneme-Memory": "read"}
        await tell(self.client, text, extra_headers=headers, extra_body={"memory": memory} if memory else None)


@asynccontextmanager
async def thinking(data: Path, worker: Worker, user: str, **knobs: str) -> AsyncIterator[Thinking]:
    """`mneme serve` in a process of its own."""
    chosen: dict[str, Any] = {"upstream": worker.url, "recall_deadline": "2", "reflect_turns": "1", **knobs}
    async with (
        spawned_gateway(data, **chosen) as gateway,
        httpx.AsyncClient(base_url=gateway.url, timeout=30) as desk,
        sdk(f"{gateway.url}/v1", x_mneme_user=user) as client,
    ):
        yield Thinking(desk, client, user)


async def test_an_experience_is_made_recalled_and_taken_back(worker: Worker, tmp_path: Path, user: str) -> None:
    """It shows, stands in the next prompt in the place of its turn, once; taken back the turn stands for itself."""
    worker.says = lambda body: ADVICE
    async with thinking(tmp_path, worker, user, policy="exprag") as mneme:
        await tell(mneme.client, TASK)
        (reflection,) = await mneme.thought()
        (made,) = await mneme.made("exprag")
        assert (made["kind"], made["text"], made["reply"]) == ("experience", TASK, ADVICE)

        await mneme.ask(AGAIN)
        prompt = worker.prompts[-1]
        assert (prompt.count(ADVICE), prompt.count("] experience:")) == (1, 1)

        undone = await mneme.desk.post(f"/admin/reflections/{reflection['id']}/undo", params={"user": user})
        assert (undone.status_code, undone.json()["state"]) == (200, "undone")
        assert await mneme.made("exprag") == []
        await mneme.ask(f"{AGAIN} Once more, please.")
        prompt = worker.prompts[-1]
        assert (prompt.count(ADVICE), prompt.count("] experience:")) == (1, 0)


async def test_a_long_turn_is_told_in_a_models_words(worker: Worker, tmp_path: Path, user: str) -> None:
    """Where the turn does not fit, what the model made of it does, once; the rest of the prompt is as it was asked."""
    worker.says = lambda body: LONG
    worker.fills = lambda body: json.dumps({"user": "asked about queens", "assistant": "they lay eggs in spring"})
    async with thinking(tmp_path, worker, user, policy="scm", reflect_model="small") as mneme:
        await tell(mneme.client, f"When does the queen of my bees lay her eggs? {LONG[:800]}")
        (reflection,) = await mneme.thought()
        assert (reflection["changed"], reflection["calls"]) == (1, 1)
        assert worker.bodies[-1]["model"] == "small"

        await mneme.ask("When does the queen of the bees lay eggs?", tokens=150)

        prompt = worker.prompts[-1]
        assert prompt.count("asked about queens they lay eggs in spring") == 1
        assert "raise them" not in prompt


async def test_what_was_made_goes_with_its_evidence_and_its_user(worker: Worker, tmp_path: Path, user: str) -> None:
    """A turn is deleted, and what was made of it is gone; the user is forgotten, and no byte is left."""
    worker.says = lambda body: ADVICE
    async with thinking(tmp_path, worker, user, policy="exprag") as mneme:
        await tell(mneme.client, TASK)
        worker.says = lambda body: "Clover and borage, from May on."
        await tell(mneme.client, "Which flowers do bumblebees like best?")
        await mneme.thought(2)
        (turn,) = [m for m in (await mneme.get("/memories", kind="turn"))["items"] if m["text"] == TASK]
        deleted = await mneme.desk.delete(f"/admin/memories/{turn['id']}", params={"user": user})
        assert deleted.status_code == 200
        assert [m["text"] for m in await mneme.made("exprag")] == ["Which flowers do bumblebees like best?"]
        assert len(await mneme.thought()) == 1

        certificate = (await mneme.desk.post("/admin/forget", params={"user": user})).json()

        assert certificate["erased"]["thoughts"] > 0
        assert not any(certificate["remains"].values())
        assert in_files(tmp_path, ["zanzibar", "bumblebees"], leaving=["models"]) == {}
    assert in_files(tmp_path, ["zanzibar", "bumblebees"], leaving=["models"]) == {}


async def test_killed_between_intending_and_doing_it_is_done_once(worker: Worker, tmp_path: Path, user: str) -> None:
    """kill -9 when the reflection is kept and nothing of it is carried out: the next start does, without waiting."""
    worker.says = lambda body: ADVICE
    async with thinking(tmp_path, worker, user, policy="exprag", reflect_turns="100", reflect_idle="3600") as mneme:
        await tell(mneme.client, TASK)
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", CHILD, str(tmp_path), cwd=ROOT)
    async with asyncio.timeout(60):
        assert await child.wait() == -9

    async with thinking(tmp_path, worker, user, policy="exprag") as mneme:
        (reflection,) = await mneme.thought()

        assert [(m["text"], m["version"]) for m in await mneme.made("exprag")] == [(TASK, 1)]
        assert (reflection["made"], reflection["changed"], reflection["refused"]) == (1, 0, [])
        assert len((await mneme.get("/reflections"))["items"]) == 1
