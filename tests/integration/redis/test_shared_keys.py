"""Two gateways over one real Redis: keys, limits and the log are the same everywhere, and what happens without it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from gateway.tenants.ring import MOMENT
from tests.support.admin import Desk, open_desk
from tests.support.redis_server import RedisServer

SECRET = "a-secret-of-thirty-two-characters"
BODY = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


@dataclass(frozen=True)
class Pair:
    """Two desks of one installation."""

    one: Desk
    other: Desk

    async def issue(self, **limits: int) -> tuple[str, str]:
        """A key of one's: its id and its secret."""
        made = await self.one.issue(limits=limits)
        return made["key"]["id"], made["secret"]


@asynccontextmanager
async def opened(path: Path, server: RedisServer) -> AsyncIterator[Pair]:
    """With acme known to both."""
    async with AsyncExitStack() as stack:
        desks = [
            await stack.enter_async_context(open_desk(path / name, redis_url=server.url, secret=SECRET))
            for name in ("one", "other")
        ]
        yield Pair(*desks)


async def chat(desk: Desk, secret: str) -> httpx.Response:
    """A chat without memory."""
    headers = {"authorization": f"Bearer {secret}", "x-mneme-memory": "off"}
    return await desk.client.post("/v1/chat/completions", json=BODY, headers=headers)


async def test_a_key_that_one_revokes_the_other_refuses(tmp_path: Path, server: RedisServer) -> None:
    """Within two seconds, though it has just let it in."""
    async with opened(tmp_path, server) as pair:
        id, secret = await pair.issue()
        assert (await chat(pair.other, secret)).status_code == 200
        await pair.one.client.delete(f"/admin/keys/{id}")
        at = time.monotonic()
        while (await chat(pair.other, secret)).status_code != 401:
            assert time.monotonic() - at < MOMENT + 0.5
            await asyncio.sleep(0.05)


async def test_gateways_share_a_limit(tmp_path: Path, server: RedisServer) -> None:
    """What is asked of one, all others miss."""
    async with opened(tmp_path, server) as pair:
        _, secret = await pair.issue(requests_per_minute=3)
        told = [(await chat(desk, secret)).status_code for desk in (pair.one, pair.other, pair.one, pair.other)]

    assert told == [200, 200, 200, 429]


async def test_one_log_for_all(tmp_path: Path, server: RedisServer) -> None:
    """Also who a subject is, until it is forgotten by either; then nobody knows."""
    async with opened(tmp_path, server) as pair:
        await pair.one.note("ada-canary", "Likes tea.")
        named = (await pair.other.get("/audit"))["items"]
        await pair.other.post("/forget", user="ada-canary")
        unnamed = (await pair.one.get("/audit"))["items"]
        names = await server.command("HVALS", "mneme:{registry}:subjects")

    assert [(line["what"], line["user"]) for line in named] == [("POST /admin/memories", "ada-canary")]
    assert [(line["what"], line["user"]) for line in unnamed] == [
        ("POST /admin/forget", None),
        ("POST /admin/memories", None),
    ]
    assert {line["subject"] for line in unnamed} == {named[0]["subject"]}
    assert names == b""


async def test_without_redis_identity_fails_closed_and_limits_open(tmp_path: Path, server: RedisServer) -> None:
    """An issued key is a 503 once it is no longer believed; a key of the settings is answered, and in time."""
    async with opened(tmp_path, server) as pair:
        await pair.one.client.put("/admin/tenants", params={"tenant": "acme"}, json={})
        _, secret = await pair.issue(requests_per_minute=50)
        assert (await chat(pair.one, secret)).headers["x-ratelimit-limit-requests"] == "50"
        server.pause()
        try:
            believed = await chat(pair.one, secret)
            await asyncio.sleep(MOMENT)
            began = time.monotonic()
            static = await chat(pair.one, "acme-key")
            took = time.monotonic() - began
            refused = await chat(pair.one, secret)
            ready = (await pair.one.client.get("/health/ready")).json()
        finally:
            server.resume()

    assert (believed.status_code, believed.headers["x-mneme-limits"]) == (200, "unchecked")
    assert (static.status_code, took < 1.0) == (200, True)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "keys_unavailable")
    assert ready["parts"]["registry"] == "failing"


async def test_what_cannot_be_written_down_is_not_done(tmp_path: Path, server: RedisServer) -> None:
    """Nothing is taken out without a log, though the memories are at hand; looking goes on."""
    async with opened(tmp_path, server) as pair:
        await pair.one.note("ada", "Likes tea.")
        whose = {"tenant": "acme", "user": "ada"}
        server.pause()
        try:
            refused = await pair.one.client.get("/admin/export", params=whose)
            seen = await pair.one.get("/memories", user="ada")
        finally:
            server.resume()

    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "store_away")
    assert [memory["text"] for memory in seen["items"]] == ["Likes tea."]


async def test_an_act_whose_end_cannot_be_written_down_stays_begun(
    tmp_path: Path, server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """It is answered as it ended; the audit log says that it began, and nothing of how it ended."""
    async with opened(tmp_path, server) as pair:

        async def lines() -> AsyncIterator[bytes]:
            yield b'{"id": "1", "text": "Likes tea."}\n'
            while await server.command("XLEN", "mneme:{registry}:acts") == b"0":
                await asyncio.sleep(0.02)
            server.pause()
            yield b"{}\n"

        try:
            whose = {"tenant": "acme", "user": "ada"}
            await pair.one.client.post("/admin/import", params=whose, content=lines())
        finally:
            server.resume()
        await asyncio.sleep(1.0)  # after a silence, calls fail at once for so long
        (line,) = (await pair.other.get("/audit"))["items"]

    assert (line["what"], line["outcome"]) == ("POST /admin/import", "")
    assert "not in the audit log" in caplog.text
