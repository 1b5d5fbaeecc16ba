"""Pictures and videos by the official client: kept as where they lie, never as what they are."""

import asyncio
import base64
import hashlib
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.memory.filters import Filter
from gateway.memory.records import Scope, Turn
from tests.e2e.sdk import Conversation, sdk
from tests.e2e.worker import Worker
from tests.support.gateway import Running, running_gateway

pytestmark = pytest.mark.asyncio(loop_scope="session")

BYTES = b"\x89PNG seven hives" * 99
INLINE = f"data:image/png;base64,{base64.b64encode(BYTES).decode()}"
SIGNED = "https://pictures.example/hives.png?X-Amz-Signature=0123456789abcdef0123456789abcdef"


def picture(url: str) -> Any:
    """A content part."""
    return {"type": "image_url", "image_url": {"url": url}}


async def turns(gateway: Running, user: str) -> list[Turn]:
    """What the journal holds."""
    return [kept.turn for kept in (await gateway.services.journal.kept(Scope("local", user))).items]


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_turn_tells_what_was_shown(worker: Worker, gateway: Running, user: str, streamed: bool) -> None:
    """The digest of bytes, a URL without its signature; the worker gets both as they were sent."""
    content = [{"type": "text", "text": "My hives:"}, picture(INLINE), picture(SIGNED)]
    messages: Any = [{"role": "user", "content": content}]
    async with sdk(f"{gateway.url}/v1", x_mneme_user=user) as client:
        answer: Any = await client.chat.completions.create(model="scripted", messages=messages, stream=streamed)
        if streamed:
            assert [chunk async for chunk in answer]

    (turn,) = await turns(gateway, user)
    digest = f"sha256:{hashlib.sha256(BYTES).hexdigest()}"
    kept = [(one.kind, one.reference, one.part) for one in turn.media]
    assert kept == [("image", digest, 1), ("image", "https://pictures.example/hives.png", 2)]
    assert worker.bodies[0]["messages"][0]["content"] == content


async def test_only_what_its_own_turn_shows(worker: Worker, gateway: Running, user: str) -> None:
    """A picture in the history belongs to the turn that showed it, also to one without a word."""
    async with sdk(f"{gateway.url}/v1", x_mneme_user=user) as client:
        talk = Conversation(client)
        await talk.say([picture(INLINE)])
        await talk.say("How many hives do you see?")

    first, second = await turns(gateway, user)
    assert first.user_text == "" and len(first.media) == 1 and second.media == ()


async def test_a_picture_is_looked_at_by_the_model_that_is_configured(worker: Worker, tmp_path: Path) -> None:
    """Its caption answers a later question in another conversation, and says where the picture lies."""
    worker.fills = lambda body: orjson.dumps({"caption": "Seven blue hives in a row by a river."}).decode()
    url = "https://pictures.example/hives.png"
    running = running_gateway(tmp_path / "data", worker.upstream.url, vision_model="scripted", reflect_idle=0.0)
    async with running as gateway, sdk(f"{gateway.url}/v1") as client:
        await Conversation(client).say([{"type": "text", "text": "Look what I painted!"}, picture(url)])
        async with asyncio.timeout(20):
            while not (await gateway.services.memories.browse(Scope("local", "local"), Filter(kind="caption"))).items:
                await asyncio.sleep(0.05)
        await Conversation(client).say("How many blue hives stand in a row by the river?")

    asked = next(body for body in worker.bodies if "response_format" in body)
    assert asked["messages"][1]["content"][1] == picture(url)
    assert f"caption: {url}: Seven blue hives in a row by a river." in worker.prompts[-1]
