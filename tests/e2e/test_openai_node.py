"""The official Node client, run by node: it sees no difference either, and is remembered. Skipped where node is not."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from gateway.settings import LOCAL_KEY
from tests.e2e.worker import MODEL, Worker
from tests.support.gateway import Running

FOLDER = Path(__file__).parent / "node"
on_the_gateway = pytest.mark.asyncio(loop_scope="session")
needs_node = pytest.mark.skipif(
    shutil.which("node") is None or not (FOLDER / "node_modules" / "openai").is_dir(),
    reason="node is not installed, or npm ci has not run in tests/e2e/node",
)


async def run(script: str, *arguments: str) -> Any:
    """The JSON that a script prints."""
    process = await asyncio.create_subprocess_exec(
        "node", script, *arguments, cwd=FOLDER, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, err.decode()
    return json.loads(out)


@needs_node
@on_the_gateway
async def test_node_sees_no_difference(worker: Worker, gateway: Running, user: str) -> None:
    """Whole, streamed, tools, models, embeddings, legacy, responses and refusals: as from the worker itself."""
    url = f"{gateway.url}/v1"
    direct = await run("talk.mjs", worker.url, LOCAL_KEY, MODEL)
    off = await run("talk.mjs", url, LOCAL_KEY, MODEL, "X-Mneme-Memory=off")
    on = await run("talk.mjs", url, LOCAL_KEY, MODEL, f"X-Mneme-User={user}")

    assert direct["refused"][:2] == ["RateLimitError", 429]
    assert off == direct
    assert on == direct


@needs_node
@on_the_gateway
async def test_node_is_remembered(worker: Worker, gateway: Running, user: str) -> None:
    """What one Node process told stands in the prompt of the next one's question."""
    url = f"{gateway.url}/v1"
    await run("remember.mjs", url, LOCAL_KEY, MODEL, user, "My brother Olaf carves wooden birds in Tromsø.")
    told = await run("remember.mjs", url, LOCAL_KEY, MODEL, user, "What does my brother Olaf carve?")

    assert told["x-mneme-count"] == "1"
    assert "carves wooden birds in Tromsø" in worker.prompts[-1]
    assert all("memory" not in body for body in worker.bodies)


def test_the_lock_file_names_no_host() -> None:
    """Anybody's registry serves: only names, versions and integrity are pinned."""
    lock = (FOLDER / "package-lock.json").read_text()

    assert "integrity" in lock
    assert "://" not in lock
