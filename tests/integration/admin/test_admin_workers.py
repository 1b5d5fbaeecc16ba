"""/admin/workers: who answers, what each worker tells of itself, and which names lead there."""

from pathlib import Path

import orjson
import pytest
from pydantic import TypeAdapter

from gateway.routes.admin.worker_shapes import Workers
from tests.integration.workers.conftest import FAR, NEAR, models, told
from tests.support.admin import Desk
from tests.support.gateway import running_gateway
from tests.support.upstream import Reply, scripted_upstream
from tests.support.workers import REPORT

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_stock_worker_is_told_without_a_policy(desk: Desk) -> None:
    """Where it is, that it answers, what it serves."""
    desk.worker.models = models({**NEAR, "max_model_len": 900})

    assert await desk.get("/workers") == {
        "workers": [
            {
                "url": desk.worker.url,
                "default": True,
                "reachable": True,
                "state": "ready",
                "in_flight": 0,
                "models": [{"id": "near", "window": 900, "owned_by": "vllm"}],
                "kv": None,
                "aliases": [],
            }
        ],
        "unserved": [],
    }


async def test_every_worker_is_told_as_it_is_now(tmp_path: Path) -> None:
    """Its report, the aliases that lead there, and those that lead nowhere; no credentials."""
    async with scripted_upstream() as near, scripted_upstream() as far:
        near.models, far.models, far.kv = models(NEAR), models(FAR), told(REPORT)
        hidden = far.url.replace("http://", "http://operator:hunter2@")
        aliases = {
            "far": {"url": hidden},
            "whole": {"policy": "full"},
            "surprised": {"policy": "surprisal"},
            "lost": {"url": "http://127.0.0.1:9/v1"},
        }
        async with (
            running_gateway(tmp_path, near.url, workers=orjson.dumps(aliases).decode()) as gateway,
            gateway.client() as client,
        ):
            answer = await client.get("/admin/workers")

    assert "hunter2" not in answer.text
    TypeAdapter(Workers).validate_json(answer.content, strict=True)
    first, second, third = answer.json()["workers"]
    assert (first["url"], first["default"], second["url"], second["default"]) == (near.url, True, far.url, False)
    assert second["kv"] == {name: value for name, value in REPORT.items() if name != "object"}
    assert second["aliases"] == [
        {"name": "far", "model": "far/model", "policy": ""},
        {"name": "whole", "model": "far/model", "policy": "full"},
    ]
    assert (third["reachable"], third["models"], first["aliases"]) == (False, [], [])
    assert answer.json()["unserved"] == ["surprised", "lost"]


async def test_a_worker_that_left_is_told_as_last_known(desk: Desk) -> None:
    """And that it does not answer."""
    desk.worker.models = models(NEAR)
    before = await desk.get("/workers")
    desk.worker.models = Reply(503)
    after = await desk.get("/workers")
    desk.worker.models = models(NEAR)

    (worker,) = after["workers"]
    assert (worker["reachable"], worker["models"]) == (False, before["workers"][0]["models"])


async def test_the_door_is_the_one_of_all_admin_routes(tmp_path: Path) -> None:
    """With MNEME_ADMIN_KEY, nobody sees the workers without it."""
    async with (
        running_gateway(tmp_path, "http://127.0.0.1:9/v1", admin_key="k") as gateway,
        gateway.client() as client,
    ):
        shut = await client.get("/admin/workers")
        open = await client.get("/admin/workers", headers={"authorization": "Bearer k"})

    assert (shut.status_code, open.status_code) == (401, 200)
