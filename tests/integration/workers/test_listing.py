"""GET /v1/models: the default worker's own answer, or one list of all that may be asked for, dead workers or not."""

import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.integration.workers.conftest import FAR, NEAR, Yard, known, models, told
from tests.support.gateway import running_gateway
from tests.support.raw import KEY, Response, ask
from tests.support.upstream import Reply, scripted_upstream
from tests.support.workers import REPORT

pytestmark = pytest.mark.asyncio(loop_scope="module")

KV = {name: REPORT[name] for name in ("policy", "knobs", "trained", "block")}


async def listed(port: int) -> Response:
    """The list as a client gets it."""
    return await ask(port, b"GET", b"/v1/models")


def cards(answer: Response) -> dict[str, dict[str, Any]]:
    """What is in the list, by id."""
    assert answer.status == 200
    return {card["id"]: card for card in answer.json()["data"]}


async def test_a_stock_worker_without_aliases_tells_its_list_itself(tmp_path: Path) -> None:
    """Byte for byte, with its own headers."""
    odd = Reply(
        headers=((b"content-type", b"application/json"), (b"x-w", b"1")), chunks=(b'{"data": [ {"id":"m"} ] }',)
    )
    async with scripted_upstream() as scripted, running_gateway(tmp_path, scripted.url) as gateway:
        scripted.models = odd
        await known(gateway)
        answer = await listed(gateway.port)

    assert (answer.body, answer.header(b"x-w")) == (odd.chunks[0], b"1")


async def test_a_worker_with_a_policy_shows_it_on_its_cards(tmp_path: Path) -> None:
    """Everything else on them stays."""
    async with scripted_upstream() as scripted:
        scripted.models, scripted.kv = models(NEAR), told(REPORT)
        async with running_gateway(tmp_path, scripted.url) as gateway:
            await known(gateway)
            answer = await listed(gateway.port)

    assert answer.json() == {"object": "list", "data": [{**NEAR, "kv": KV}]}


async def test_one_list_has_every_worker_and_every_alias(yard: Yard) -> None:
    """The default worker's cards first; an alias has its model's card under its own name, and its policy."""
    answer = await listed(yard.port)

    found = cards(answer)
    assert list(found) == ["near", "far/model", "far", "endless", "whole"]
    assert (found["near"], found["far/model"]) == (NEAR, {**FAR, "kv": KV})
    alias = {**FAR, "root": "far/model", "kv": KV}
    assert (found["far"], found["endless"]) == ({**alias, "id": "far"}, {**alias, "id": "endless"})
    assert found["whole"] == {**alias, "id": "whole", "kv": {**KV, "policy": "full", "knobs": None}}


@pytest.mark.parametrize(
    "reply", [Reply(500), Reply(hang=True), Reply(drop=True, chunked=True)], ids=["500", "hangs", "cut"]
)
async def test_a_worker_that_died_is_listed_as_last_known(yard: Yard, reply: Reply) -> None:
    """Its models and the names that lead there; nobody waits long for it."""
    before, healthy, began = await listed(yard.port), yard.far.models, time.monotonic()
    yard.far.models = reply
    after = await listed(yard.port)
    took = time.monotonic() - began
    yard.far.models = healthy

    assert after.body == before.body
    assert took < 15


async def test_without_its_default_worker_the_list_is_still_told(yard: Yard) -> None:
    """A dead worker is no reason to hide the others."""
    before, healthy = await listed(yard.port), yard.near.models
    yard.near.models = Reply(503)
    after = await listed(yard.port)
    yard.near.models = healthy

    assert after.body == before.body


async def test_a_worker_that_lost_its_policy_takes_its_names_along(yard: Yard) -> None:
    """Whoever restarted it without the policy sees that at once."""
    healthy = yard.far.kv
    yard.far.kv = Reply(404)
    found = cards(await listed(yard.port))
    refused = await ask(
        yard.port, b"POST", b"/v1/completions", b'{"model":"endless"}', (KEY, (b"content-type", b"application/json"))
    )
    yard.far.kv = healthy
    again = cards(await listed(yard.port))

    assert (list(found), refused.status) == (["near", "far/model", "far"], 404)
    assert "kv" not in found["far"]
    assert list(again) == ["near", "far/model", "far", "endless", "whole"]


async def test_what_was_never_reached_is_left_out(tmp_path: Path) -> None:
    """Until it is there; asking for it is a 502 meanwhile, which clients try again."""
    aliases = {"lost": {"url": "http://127.0.0.1:9/v1"}, "lost-too": {"url": "http://127.0.0.1:9/v1", "policy": "duo"}}
    async with scripted_upstream() as scripted:
        scripted.models = models(NEAR)
        async with running_gateway(tmp_path, scripted.url, workers=orjson.dumps(aliases).decode()) as gateway:
            found = cards(await listed(gateway.port))
            body, kind = b'{"model":"lost-too","messages":[]}', (b"content-type", b"application/json")
            asked = await ask(gateway.port, b"POST", b"/v1/completions", body, (KEY, kind))
            ready = await ask(gateway.port, b"GET", b"/health/ready", headers=())

    assert list(found) == ["near"]
    assert (asked.status, asked.json()["error"]["code"]) == (502, "upstream_unreachable")
    assert (ready.status, ready.json()["status"], ready.json()["parts"]["workers"]) == (200, "degraded", "failing")


async def test_when_nobody_tells_anything_there_is_no_list(tmp_path: Path) -> None:
    """502, as from a dead worker without aliases."""
    workers = '{"x":{"url":"http://127.0.0.1:9/v1"}}'
    async with running_gateway(tmp_path, "http://127.0.0.1:9/v1", workers=workers) as gateway:
        answer = await listed(gateway.port)

    assert (answer.status, answer.json()["error"]["code"]) == (502, "upstream_unreachable")
