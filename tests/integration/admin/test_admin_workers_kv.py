"""/admin/workers/kv: the KV of one worker, as it tells of it now."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import orjson
import pytest
from pydantic import TypeAdapter

from gateway.routes.admin.worker_shapes import WorkerKv
from tests.integration.workers.conftest import FAR, NEAR, models, told
from tests.support.gateway import running_gateway
from tests.support.kv_pages import HELD
from tests.support.upstream import Reply, Upstream, scripted_upstream
from tests.support.workers import REPORT


@pytest.fixture
async def far() -> AsyncIterator[Upstream]:
    """A worker under a policy, with requests that run."""
    async with scripted_upstream() as far:
        far.models, far.kv, far.held = models(FAR), told(REPORT), told(HELD)
        yield far


@pytest.fixture
async def client(tmp_path: Path, far: Upstream) -> AsyncIterator[httpx.AsyncClient]:
    """An operator at a gateway before it, and before a stock one."""
    async with scripted_upstream() as near:
        near.models = models(NEAR)
        hidden = far.url.replace("http://", "http://operator:hunter2@")
        workers = orjson.dumps({"far": {"url": hidden}}).decode()
        async with running_gateway(tmp_path, near.url, workers=workers) as gateway, gateway.client() as client:
            yield client


async def test_a_workers_kv_is_told_as_it_is_now(client: httpx.AsyncClient, far: Upstream) -> None:
    """Policy, pool, and the blocks of every request; asked by the listed URL, with the worker's own credentials."""
    answer = await client.get("/admin/workers/kv", params={"url": far.url})

    TypeAdapter(WorkerKv).validate_json(answer.content, strict=True)
    assert answer.json() == {
        "url": far.url,
        "kv": {name: value for name, value in REPORT.items() if name != "object"},
        **{name: value for name, value in HELD.items() if name != "object"},
    }
    assert far.asked is not None
    assert (far.asked.header(b"authorization") or b"").startswith(b"Basic ")


async def test_what_is_no_worker_under_a_policy_is_not_found(client: httpx.AsyncClient, far: Upstream) -> None:
    """A stock worker's, one that nobody configured, which is not asked, and an address with credentials in it."""
    listed = (await client.get("/admin/workers")).json()["workers"]
    (stock,) = [worker["url"] for worker in listed if worker["default"]]
    async with scripted_upstream() as stranger:
        urls = (stock, stranger.url, far.url.replace("http://", "http://operator:hunter2@"))
        answers = [await client.get("/admin/workers/kv", params={"url": url}) for url in urls]

        assert stranger.connections == 0
    assert [answer.status_code for answer in answers] == [404, 404, 404]


async def test_a_worker_that_lost_its_policy_is_told_as_broken(client: httpx.AsyncClient, far: Upstream) -> None:
    """And nothing of what it says."""
    far.kv = Reply(503, chunks=(b'{"error": {"message": "secret"}}',))
    answer = await client.get("/admin/workers/kv", params={"url": far.url})

    assert (answer.status_code, "secret" in answer.text) == (502, False)


async def test_a_url_is_needed(client: httpx.AsyncClient) -> None:
    """One of the list."""
    assert (await client.get("/admin/workers/kv")).status_code == 400
