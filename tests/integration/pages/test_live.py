"""Streams that live as long as somebody looks: what they send, and that they hold nothing up."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.support.admin import Desk
from tests.support.gateway import spawned_gateway

UI = "/admin/ui"


async def events(answer: httpx.Response) -> AsyncIterator[tuple[str, str]]:
    """Names of events and their HTML."""
    name, data = "", []
    async for line in answer.aiter_lines():
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: "):
            data.append(line[6:])
        elif not line and name:
            yield name, "\n".join(data)
            name, data = "", []


@pytest.mark.asyncio(loop_scope="module")
async def test_a_list_hears_how_many_memories_came_in(desk: Desk) -> None:
    """Counted from when the page was opened; only of that user."""
    whose = {"tenant": "acme", "user": "grown"}
    await desk.note("grown", "One.")
    async with desk.client.stream("GET", f"{UI}/live/memories", params=whose, timeout=20) as answer:
        heard = asyncio.ensure_future(anext(events(answer)))
        await asyncio.sleep(0.5)
        await desk.note("somebody else", "Not this one.")
        await desk.note("grown", "Two.")
        name, html = await heard

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert name == "grown"
    assert "1 more memory since this page was opened" in html


async def test_an_open_page_does_not_hold_up_the_end(tmp_path: Path) -> None:
    """SIGTERM: the stream ends at once, and the process with it, long before the drain's half minute."""
    async with spawned_gateway(tmp_path, upstream="http://127.0.0.1:9/v1", drain_seconds="30") as gateway:
        url = f"{gateway.url}{UI}/live/health"
        async with httpx.AsyncClient(timeout=30) as client, client.stream("GET", url) as answer:
            pieces = answer.aiter_bytes()
            await anext(pieces)
            began = time.monotonic()
            gateway.stop()
            async for _ in pieces:
                pass
        await gateway.process.wait()
        took = time.monotonic() - began

    assert took < 10
    assert gateway.process.returncode == 0
