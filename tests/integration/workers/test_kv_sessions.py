"""A worker that keeps the KV of sessions is told whose they are, and forgets them with their user."""

from collections.abc import AsyncIterator

import httpx
import orjson
import pytest
import pytest_asyncio

from gateway.memory.records import Scope
from tests.integration.test_splice import ANSWER
from tests.integration.workers.conftest import FAR, NEAR, Yard, known, models, told
from tests.support.gateway import running_gateway
from tests.support.raw import OFF, chat
from tests.support.upstream import Reply, scripted_upstream
from tests.support.workers import REPORT

pytestmark = pytest.mark.asyncio(loop_scope="module")

SESSION = (b"x-mneme-session", b"monday")
FORGOTTEN = told({"object": "kv.forgotten", "files": 2})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Yard]:
    """`near` is a stock worker, `far` keeps sessions."""
    async with scripted_upstream() as near, scripted_upstream() as far:
        near.models, far.models, far.kv = models(NEAR), models(FAR), told({**REPORT, "sessions": True})
        workers = orjson.dumps({"far": {"url": far.url}}).decode()
        data = tmp_path_factory.mktemp("data")
        async with running_gateway(data, near.url, workers=workers, drain_seconds=1.0) as gateway:
            await known(gateway)
            yield Yard(near, far, gateway)


@pytest.fixture
def yard(opened: Yard) -> Yard:
    """Workers that have heard nothing yet."""
    for worker in (opened.near, opened.far):
        worker.replies.clear()
        worker.received.clear()
        worker.default = ANSWER
    return opened


async def forget(yard: Yard) -> httpx.Response:
    """What the gateway says when its one user is to be forgotten."""
    whose = {"tenant": "local", "user": "local"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{yard.port}") as client:
        return await client.post("/admin/forget", params=whose)


async def test_a_worker_that_keeps_sessions_is_told_which_it_is(yard: Yard) -> None:
    """The same one every turn, under its owner's name, and neither says who that is."""
    await chat(yard.port, "Hello", SESSION, model="far")
    await chat(yard.port, "Hello again", SESSION, model="far")
    await chat(yard.port, "Hello", (b"x-mneme-session", b"tuesday"), model="far")
    await yard.gateway.indexed()

    first, second, other = (orjson.loads(received.body)["session_id"] for received in yard.far.received)
    owner = yard.gateway.services.seal.owner(Scope("local", "local"))
    assert first == second != other
    assert {said.partition("/")[0] for said in (first, other)} == {owner}
    assert "monday" not in first


async def test_nobody_else_is_told(yard: Yard) -> None:
    """A stock worker, a question without a session, one with memory off, and one that names a session itself."""
    await chat(yard.port, "Hello", SESSION)
    await chat(yard.port, "Hello", model="far")
    await chat(yard.port, "Hello", SESSION, OFF, model="far")
    await chat(yard.port, "Hello", SESSION, model="far", session_id="mine")
    await yard.gateway.indexed()

    said = [orjson.loads(r.body).get("session_id") for r in (*yard.near.received, *yard.far.received)]
    assert said == [None, None, None, "mine"]


async def test_forgetting_a_user_reaches_the_worker(yard: Yard) -> None:
    """Under the salt and the name that the worker got; the certificate counts the files."""
    await chat(yard.port, "Hello", SESSION, model="far")
    await yard.gateway.indexed()
    yard.far.replies.append(FORGOTTEN)
    answer = await forget(yard)

    asked, order = yard.far.received
    body, owner = orjson.loads(asked.body), orjson.loads(order.body)
    assert (order.target, owner["salt"]) == (b"/kv/forget", body["cache_salt"])
    assert body["session_id"].startswith(owner["owner"] + "/")
    assert (answer.status_code, answer.json()["erased"]["kv"]) == (200, 2)
    assert yard.near.received == []


@pytest.mark.parametrize("said", [Reply(503), told({"object": "other"})])
async def test_no_certificate_while_a_worker_may_still_keep_something(yard: Yard, said: Reply) -> None:
    """All else is erased, the reason is told, and a second try gets it."""
    await chat(yard.port, "My sister Ada keeps bees in Riga.", SESSION, model="far")
    await yard.gateway.indexed()
    yard.far.replies += [said, FORGOTTEN]
    refused, answer = await forget(yard), await forget(yard)

    assert (refused.status_code, refused.json()["error"]["type"]) == (502, "upstream_error")
    assert "forget" in refused.json()["error"]["message"]
    assert (answer.status_code, answer.json()["erased"]["memories"], answer.json()["erased"]["kv"]) == (200, 0, 2)
