"""What a worker tells of the blocks that its requests hold, and how little of it is believed."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from gateway.errors import NotFound, UpstreamBroke, UpstreamError, UpstreamTimeout
from gateway.upstream.client import Patience
from gateway.upstream.client import Upstream as Client
from gateway.upstream.holding import held
from gateway.upstream.worker import Worker
from tests.support.kv_pages import HELD
from tests.support.upstream import Reply, Upstream, scripted_upstream
from tests.support.workers import REPORT, report


def told(value: Any, status: int = 200) -> Reply:
    """A JSON answer."""
    return Reply(status, chunks=(orjson.dumps(value),))


def request(**changed: Any) -> dict[str, Any]:
    """The page with its first request changed."""
    first, *others = HELD["requests"]
    return {**HELD, "requests": [{**first, **changed}, *others]}


@pytest.fixture
async def worker() -> AsyncIterator[Upstream]:
    """One under a policy, with two requests."""
    async with scripted_upstream() as worker:
        worker.kv, worker.held = told(REPORT), told(HELD)
        yield worker


@pytest.fixture
async def asked(worker: Upstream) -> AsyncIterator[Worker]:
    """The same as the gateway knows it; a key opens it."""
    async with Client(worker.url, "hunter2", Patience(1.0, 9.0, 9.0)) as upstream:
        yield Worker(upstream, worker.url)


async def test_the_policy_and_the_blocks_are_told(worker: Upstream, asked: Worker) -> None:
    """As the worker tells them, which was asked with its own key."""
    kv, holding = await held(asked)

    assert kv == report()
    first, second = holding.requests
    assert (holding.block, holding.pool) == (32, 64)
    assert (first.id, first.policy, first.tokens, first.live) == ("chatcmpl-1", "sink_window", 190, ((0, 1), (4, 6)))
    assert (second.id, second.policy) == ("chatcmpl-2", "full")
    assert worker.asked is not None
    assert worker.asked.header(b"authorization") == b"Bearer hunter2"


async def test_a_stock_worker_has_none(worker: Upstream, asked: Worker) -> None:
    """Nothing to be found, and nobody's fault."""
    worker.kv = Reply(404)

    with pytest.raises(NotFound, match="no KV policy"):
        await held(asked)


@pytest.mark.parametrize(
    "page",
    [
        told({"error": {"message": "The engine is gone."}}, 503),
        told(HELD, 401),
        Reply(chunks=(b"<html>",)),
        Reply(chunks=(b"[" * 100_000,)),
        told([]),
        told({**HELD, "object": "kv.policy"}),
        told({**HELD, "pool": "many"}),
        told({**HELD, "pool": -1}),
        told(request(tokens=1 << 41)),
        told(request(live=[[0, 1, 2]])),
        told(request(live=[[1, 1]])),
        told(request(live=[[2, 1]])),
        told(request(live=[[4, 6], [0, 1]])),
        told(request(live=[[0, 4], [3, 6]])),
        told(request(live=[[-1, 6]])),
        told(request(live=[[0, 1 << 50]])),
        Reply(chunks=(b" " * (5 << 20),)),
        Reply(chunks=(b'{"object":',), drop=True, chunked=True),
    ],
)
async def test_what_cannot_be_is_not_believed(worker: Upstream, asked: Worker, page: Reply) -> None:
    """No JSON, no such page, blocks that do not rise, numbers beyond any machine, more than a page holds."""
    worker.held = page

    with pytest.raises(UpstreamBroke):
        await held(asked)


async def test_what_a_client_called_its_request_is_cut(worker: Upstream, asked: Worker) -> None:
    """It hides nobody else's."""
    worker.held = told(request(id="x" * 5000))
    _, holding = await held(asked)

    assert [len(each.id) for each in holding.requests] == [128, 10]


async def test_a_worker_that_is_stuck_is_not_waited_for(worker: Upstream, asked: Worker) -> None:
    """A few seconds, however it dawdles."""
    worker.held = Reply(wait=30)

    with pytest.raises(UpstreamTimeout):
        await held(asked)


async def test_a_worker_that_is_gone_is_the_upstreams_fault() -> None:
    """As everywhere."""
    url = "http://127.0.0.1:9/v1"
    async with Client(url, "", Patience(1.0, 1.0, 1.0)) as upstream:
        with pytest.raises(UpstreamError):
            await held(Worker(upstream, url))
