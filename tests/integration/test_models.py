"""What the worker's /models tells: whether `cache_salt` is welcome, how long a prompt may be, whether it is there."""

import asyncio
from pathlib import Path

import orjson
import pytest

from gateway.errors import UpstreamBroke
from gateway.upstream.client import Patience
from gateway.upstream.client import Upstream as Client
from gateway.upstream.worker import Worker
from tests.support.gateway import running_gateway
from tests.support.raw import chat
from tests.support.upstream import Reply, Upstream, scripted_upstream

MODELS = Reply(
    chunks=(
        b'{"data":[{"id":"strict","owned_by":"openai"},{"id":"v","owned_by":"vllm","max_model_len":900},'
        b'{"id":"r","owned_by":"mneme","max_model_len":null},{"id":7},"x",{"id":"bare"}]}',
    )
)
PATIENCE = Patience(1.0, 5.0, 5.0)


async def watched(scripted: Upstream, models: Reply, fixed: int = 0) -> Worker:
    """A worker that has been asked once."""
    scripted.models = models
    async with Client(scripted.url, "", PATIENCE) as client:
        worker = Worker(client, scripted.url, fixed)
        watching = asyncio.create_task(worker.watch())
        async with asyncio.timeout(5):
            while not worker.told:
                await asyncio.sleep(0.01)
        watching.cancel()
    return worker


async def test_a_salt_goes_to_vllm_and_to_the_reader_only() -> None:
    """Servers that call themselves otherwise may refuse a field that they do not know."""
    async with scripted_upstream() as scripted:
        worker = await watched(scripted, MODELS)

    assert [model for model in ("strict", "v", "r", "bare", "unknown") if worker.salted(model)] == [
        "v",
        "r",
        "unknown",
    ]


async def test_a_salt_goes_out_while_nothing_is_known() -> None:
    """Fail closed: a refused prompt is asked twice, a shared prefix cache tells tenants about each other."""
    async with scripted_upstream() as scripted, Client(scripted.url, "", PATIENCE) as client:
        assert Worker(client, scripted.url).salted("m")


async def test_a_window_is_what_the_worker_says() -> None:
    """max_model_len counts where it is a number; 0 stands for unknown."""
    async with scripted_upstream() as scripted:
        worker = await watched(scripted, MODELS)

    assert [worker.window(model) for model in ("v", "r", "unknown")] == [900, 0, 0]


async def test_a_fixed_window_is_believed_before_the_worker() -> None:
    """MNEME_CONTEXT_TOKENS wins."""
    async with scripted_upstream() as scripted:
        worker = await watched(scripted, MODELS, fixed=77)

    assert worker.window("v") == 77


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'{"data":{}}', b"<html>", b'{"data":[{"id":{}}]}'])
async def test_a_worker_without_a_model_list_is_no_trouble(body: bytes) -> None:
    """Whatever it answers, nothing is known and nothing breaks."""
    async with scripted_upstream() as scripted:
        worker = await watched(scripted, Reply(chunks=(body,)))

    assert (worker.window("m"), worker.salted("m")) == (0, True)


@pytest.mark.parametrize("status", [401, 403, 500, 503])
async def test_a_worker_that_would_not_answer_us_is_not_ready(status: int) -> None:
    """A wrong upstream key and a worker that is still loading both fail the ping."""
    async with scripted_upstream() as scripted, Client(scripted.url, "", PATIENCE) as client:
        scripted.models = Reply(status=status)

        with pytest.raises(UpstreamBroke):
            await Worker(client, scripted.url).ping()


async def test_a_strict_worker_is_asked_once(tmp_path: Path) -> None:
    """Once its models are known, no prompt carries a salt that it would refuse."""
    async with scripted_upstream() as scripted:
        scripted.models = MODELS
        async with running_gateway(tmp_path, scripted.url) as gateway, asyncio.timeout(10):
            while True:
                await chat(gateway.port, "Hello there", model="strict")
                if "cache_salt" not in orjson.loads(scripted.received[-1].body):
                    break

    assert scripted.received[-1].body == b'{"model":"strict","messages":[{"role":"user","content":"Hello there"}]}'
