"""The worker's pages and what they say when the policy is not active. With a real engine: test_serve.py."""

import os
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tests.support.kv_pages import HELD
from workers.kv.choice import chosen
from workers.kv.errors import PolicyRefused
from workers.kv.keep import session_key
from workers.vllm_plugin import ledger

OWN = chosen("sink_window", {"sink": 32, "window": 64})
ACTIVE = {"role": "engine", "pid": 7, "rank": 0, "layers": 4, "key": OWN.key}


class Client:
    """vLLM's client of an engine under sinks and a window, in which `engine` says what the engine's process reports."""

    def __init__(self, pool: int = 64, policy: bool = True, sessions: Path | None = None) -> None:
        told = {"mneme_kv": {"policy": OWN.name, "knobs": OWN.knobs.given()}, "mneme_trained": 8192}
        self.engine: dict[str, Any] = ACTIVE
        self.running: list[dict[str, Any]] = []
        self.engine_core = self
        self.vllm_config = SimpleNamespace(
            additional_config=told if policy else {},
            model_config=SimpleNamespace(max_model_len=8192),
            cache_config=SimpleNamespace(block_size=32, num_gpu_blocks=pool),
            scheduler_config=SimpleNamespace(max_num_batched_tokens=128),
            kv_transfer_config=sessions
            and SimpleNamespace(
                kv_connector="SessionConnector", kv_connector_extra_config={"directory": str(sessions)}
            ),
        )

    async def call_utility_async(self, method: str) -> Any:
        """What the engine's process answers."""
        return self.engine if method == "kv_report" else self.running

    async def collective_rpc(self, method: str) -> Any:
        """One worker, before its first step."""
        return [{"role": "worker", "pid": 8, "rank": 0, "layers": 4, "engine": None, "key": None}]


async def started(client: Client) -> FastAPI:
    """vLLM's application with our pages, as far as vLLM gets before it listens."""
    from workers.vllm_plugin.endpoint import KvEndpoint

    app, endpoint = FastAPI(), KvEndpoint()
    endpoint.attach_router(app)
    await endpoint.init_state(client, app.state, Namespace())
    return app


async def get(app: FastAPI, path: str) -> httpx.Response:
    """A page."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://worker") as client:
        return await client.get(path)


async def post(app: FastAPI, path: str, told: dict[str, Any]) -> httpx.Response:
    """An order."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://worker") as client:
        return await client.post(path, json=told)


@pytest.mark.parametrize("path", ["/kv", "/kv/requests"])
async def test_a_stock_engine_has_no_policy(path: str) -> None:
    """404, whatever is installed beside it."""
    answer = await get(await started(Client(policy=False)), path)

    assert answer.status_code == 404
    assert "without a KV policy" in answer.json()["error"]["message"]


async def test_an_engine_without_the_policy_never_serves() -> None:
    """What vLLM does after its pages are made never happens."""
    client = Client()
    client.engine = {**ACTIVE, "key": None, "layers": 0}

    with pytest.raises(PolicyRefused, match="not active in the engine process 7"):
        await started(client)


async def test_a_pool_that_holds_no_request_never_serves() -> None:
    """Once vLLM knows how many blocks there are."""
    with pytest.raises(PolicyRefused, match="the pool has 7"):
        await started(Client(pool=8))


async def test_a_policy_that_is_lost_later_is_told() -> None:
    """503 with the reason, and the proof again once it holds."""
    client = Client()
    app = await started(client)
    client.engine = {**ACTIVE, "key": None}
    lost = await get(app, "/kv")
    client.engine = ACTIVE
    found = await get(app, "/kv")

    assert lost.status_code == 503
    assert "engine process 7" in lost.json()["error"]["message"]
    assert found.status_code == 200
    assert found.json()["policy"] == "sink_window"


async def test_all_sessions_of_an_owner_can_be_forgotten(tmp_path: Path) -> None:
    """Those that are being written too; another owner's and another tenant's stay."""
    app = await started(Client(sessions=tmp_path))
    for salt, session in (("s", "ada"), ("s", "ada/1"), ("s", "ada/2"), ("s", "adam/1"), ("t", "ada/1")):
        (tmp_path / f"{session_key(salt, session)}.safetensors").touch()
    (tmp_path / f"{session_key('s', 'ada/3')}.1.2.part").touch()

    answer = await post(app, "/kv/forget", {"salt": "s", "owner": "ada"})

    assert answer.json() == {"object": "kv.forgotten", "files": 4}
    stay = {session_key("s", "adam/1"), session_key("t", "ada/1")}
    assert {name.partition(".")[0] for name in os.listdir(tmp_path)} == stay


async def test_a_worker_tells_whether_it_keeps_sessions(tmp_path: Path) -> None:
    """One that does not has none to forget."""
    keeping, other = await started(Client(sessions=tmp_path)), await started(Client())

    assert ((await get(keeping, "/kv")).json()["sessions"], (await get(other, "/kv")).json()["sessions"]) == (
        True,
        False,
    )
    assert (await post(other, "/kv/forget", {"owner": "ada"})).status_code == 404


async def test_the_blocks_that_requests_hold_are_told_as_gateways_know_it() -> None:
    """To the member: by this page, gateways are tested. What has not begun and what has ended holds nothing."""
    from workers.vllm_plugin.core import kv_requests

    ledger.LEDGER.open(OWN, 32, 128, 8192)
    for name, choice, live in (
        ("chatcmpl-1", OWN, (range(0, 1), range(4, 6))),
        ("chatcmpl-2", chosen("full", {}), (range(0, 2),)),
        ("chatcmpl-3", OWN, None),
        ("chatcmpl-4", OWN, (range(0, 1),)),
    ):
        ledger.LEDGER.admit(name, choice, own=choice is OWN)
        ledger.LEDGER.entries[name].live = live
    computed = {"chatcmpl-1": 190, "chatcmpl-2": 33, "chatcmpl-3": 0}
    requests = {name: SimpleNamespace(num_computed_tokens=tokens) for name, tokens in computed.items()}
    client = Client()
    client.running = kv_requests(SimpleNamespace(scheduler=SimpleNamespace(requests=requests)))
    ledger.LEDGER.entries.clear()

    assert (await get(await started(client), "/kv/requests")).json() == HELD
