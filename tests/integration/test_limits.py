"""Limits over a real socket: what fits is answered and told how much is left, one more is refused as OpenAI does."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio

from tests.support.admin import Desk, open_desk
from tests.support.upstream import SSE, Reply

pytestmark = pytest.mark.asyncio(loop_scope="module")

USAGE = {"prompt_tokens": 20, "completion_tokens": 280, "total_tokens": 300}


@dataclass
class Shop:
    """A tenant of the test's own, with a key."""

    desk: Desk
    tenant: str
    secret: str = ""
    body: dict[str, Any] = field(
        default_factory=lambda: {"model": "m", "messages": [{"role": "user", "content": "x" * 40}]}
    )

    async def limit(self, quota: dict[str, int] | None = None, **limits: int) -> None:
        """Set the tenant, and let the gateway hear of it."""
        told = await self.desk.client.put(
            "/admin/tenants", params={"tenant": self.tenant}, json={"limits": limits, "quota": quota or {}}
        )
        assert told.status_code == 200

    async def key(self, **limits: int) -> str:
        """One more key."""
        return str((await self.desk.issue(tenant=self.tenant, limits=limits))["secret"])

    async def chat(self, secret: str, mode: str = "off", **more: Any) -> httpx.Response:
        """A chat."""
        headers = {"authorization": f"Bearer {secret}", "x-mneme-user": "ada", "x-mneme-memory": mode}
        return await self.desk.client.post("/v1/chat/completions", json={**self.body, **more}, headers=headers)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """The desk of this file."""
    async with open_desk(tmp_path_factory.mktemp("data")) as opened:
        yield opened


@pytest.fixture
def shop(desk: Desk, request: pytest.FixtureRequest) -> Shop:
    """Nobody else's."""
    desk.worker.replies.clear()
    return Shop(desk, str(request.node.name))


def left(answer: httpx.Response, kind: str = "tokens") -> int:
    """What the answer says is left."""
    return int(answer.headers[f"x-ratelimit-remaining-{kind}"])


async def test_without_a_limit_nothing_is_told(shop: Shop) -> None:
    """The worker's own headers pass as they are."""
    await shop.limit()
    shop.desk.worker.replies.append(Reply(chunks=(b"{}",), headers=((b"x-ratelimit-limit-requests", b"7"),)))
    answer = await shop.chat(await shop.key())

    assert answer.headers["x-ratelimit-limit-requests"] == "7"
    assert "x-ratelimit-limit-tokens" not in answer.headers


async def test_one_request_too_many_is_refused(shop: Shop) -> None:
    """In OpenAI's words and with its headers; the worker does not hear of it."""
    await shop.limit(requests_per_minute=2)
    secret = await shop.key()
    answers = [await shop.chat(secret) for _ in range(2)]
    heard = len(shop.desk.worker.received)
    refused = await shop.chat(secret)

    assert [(answer.status_code, left(answer, "requests")) for answer in answers] == [(200, 1), (200, 0)]
    error = refused.json()["error"]
    assert (refused.status_code, error["type"], error["code"]) == (429, "requests", "rate_limit_exceeded")
    assert set(error) == {"message", "type", "param", "code"}
    assert 25 <= int(refused.headers["retry-after"]) <= 30
    assert refused.headers["x-ratelimit-limit-requests"] == "2"
    assert len(shop.desk.worker.received) == heard


async def test_a_tenants_keys_share_its_limit_and_have_their_own(shop: Shop) -> None:
    """The tighter one refuses."""
    await shop.limit(requests_per_minute=3)
    narrow, wide = await shop.key(requests_per_minute=1), await shop.key()
    told = [(await shop.chat(secret)).status_code for secret in (narrow, narrow, wide, wide, wide)]

    assert told == [200, 429, 200, 200, 429]


async def test_a_static_key_is_held_to_its_tenants_limit(shop: Shop) -> None:
    """As soon as the tenant is given one."""
    shop.tenant = "globex"
    await shop.limit(requests_per_minute=1)

    assert [(await shop.chat("globex-key")).status_code for _ in range(2)] == [200, 429]
    await shop.limit()


@pytest.mark.parametrize("mode", ["on", "off"])
@pytest.mark.parametrize("stream", [True, False])
async def test_tokens_are_counted_as_the_worker_counts_them(shop: Shop, mode: str, stream: bool) -> None:
    """Taken by estimate before, corrected by the answer's usage afterwards; streamed or not, remembered or not."""
    await shop.limit(tokens_per_minute=60_000)
    chunk = {"choices": [{"index": 0, "delta": {"content": "hi"}}]}
    events = [orjson.dumps(chunk), orjson.dumps({"choices": [], "usage": USAGE}), b"[DONE]"]
    whole = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}}], "usage": USAGE}
    streamed = Reply(chunks=tuple(b"data: " + event + b"\n\n" for event in events), headers=SSE)
    shop.desk.worker.replies.append(streamed if stream else Reply(chunks=(orjson.dumps(whole),)))
    secret = await shop.key()
    first = await shop.chat(secret, mode, stream=stream)
    await asyncio.sleep(0.05)
    second = await shop.chat(secret, mode)

    estimated = 60_000 - left(first)
    assert 10 <= estimated <= 60
    assert first.status_code == second.status_code == 200
    assert 300 - 150 <= 60_000 - left(second) - estimated <= 300


async def test_a_prompt_that_does_not_fit_is_refused(shop: Shop) -> None:
    """By its tokens; another path than chat counts too."""
    await shop.limit(tokens_per_minute=50)
    secret = await shop.key()
    large = await shop.chat(secret, messages=[{"role": "user", "content": "x" * 4000}])
    other = await shop.desk.client.post(
        "/v1/embeddings", json={"input": "x" * 4000}, headers={"authorization": f"Bearer {secret}"}
    )

    assert [(told.status_code, told.json()["error"]["type"]) for told in (large, other)] == [(429, "tokens")] * 2


async def test_refusals_are_counted(shop: Shop) -> None:
    """By what came of the limit."""
    await shop.limit(requests_per_minute=1)
    secret = await shop.key()
    for _ in range(2):
        await shop.chat(secret)
    page = (await shop.desk.client.get("/metrics")).text
    told = [line for line in page.splitlines() if line.startswith('mneme_limits_total{outcome="refused"}')]

    assert float(told[0].split()[1]) >= 1


async def test_beyond_a_quota_turns_are_answered_and_not_kept(shop: Shop) -> None:
    """The header says why; what is known is recalled all the same."""
    await shop.limit({"memories_per_user": 1})
    secret = await shop.key()
    for text in ("My sister keeps bees in Riga.", "My brother keeps goats in Oslo."):
        answer = await shop.chat(secret, "on", messages=[{"role": "user", "content": text}])
        await shop.desk.gateway.indexed()
        await asyncio.sleep(0.01)
        shop.desk.gateway.services.story.quotas._counts.clear()  # they are believed for seconds
    kept = await shop.desk.get("/memories", tenant=shop.tenant, user="ada")

    assert (answer.status_code, answer.headers["x-mneme-skipped"]) == (200, "quota-exceeded")
    assert answer.headers["x-mneme-count"] == "1"
    assert [memory["text"] for memory in kept["items"]] == ["My sister keeps bees in Riga."]
