"""When a policy counts as active, from what the processes report."""

import os
from typing import Any

import pytest

from workers.kv.choice import chosen
from workers.kv.errors import PolicyRefused
from workers.vllm_plugin.proof import checked, prove

OWN = chosen("sink_window", {"sink": 32, "window": 64})
OTHER = chosen("sink_window", {"sink": 32, "window": 96})
ENGINE: dict[str, Any] = {"role": "engine", "pid": 7, "rank": 0, "layers": 4, "key": OWN.key}
WORKER: dict[str, Any] = {"role": "worker", "pid": 8, "rank": 0, "layers": 4, "engine": 7, "key": OWN.key}
FRESH = {**WORKER, "engine": None, "key": None}


class Client:
    """Of an engine whose processes say this."""

    def __init__(self, engine: dict[str, Any], *workers: dict[str, Any]) -> None:
        self.engine_core = self
        self._engine, self._workers = engine, workers

    async def call_utility_async(self, method: str) -> dict[str, Any]:
        """The engine's report."""
        assert method == "kv_report"
        return self._engine

    async def collective_rpc(self, method: str) -> list[dict[str, Any]]:
        """The workers' reports."""
        assert method == "kv_report"
        return list(self._workers)


async def test_every_process_is_named() -> None:
    """The API process itself, the engine, and each worker with its rank."""
    second = {**WORKER, "pid": 9, "rank": 1}

    processes = await prove(Client(ENGINE, WORKER, second), OWN, OWN)

    assert processes == [
        {"role": "api", "pid": os.getpid(), "rank": 0, "layers": 0},
        {"role": "engine", "pid": 7, "rank": 0, "layers": 4},
        {"role": "worker", "pid": 8, "rank": 0, "layers": 4},
        {"role": "worker", "pid": 9, "rank": 1, "layers": 4},
    ]


def test_workers_that_ran_no_step_yet_count() -> None:
    """They refused to start without the policy, and will refuse a step without plans."""
    assert len(checked(OWN, OWN, ENGINE, [FRESH])) == 3


@pytest.mark.parametrize(
    ("here", "engine", "workers", "where"),
    [
        (None, ENGINE, [WORKER], f"api process {os.getpid()}"),
        (OTHER, ENGINE, [WORKER], f"api process {os.getpid()}"),
        (OWN, {**ENGINE, "key": None}, [WORKER], "engine process 7"),
        (OWN, {**ENGINE, "key": OTHER.key}, [WORKER], "engine process 7"),
        (OWN, {**ENGINE, "layers": 0}, [WORKER], "engine process 7"),
        (OWN, ENGINE, [{**FRESH, "layers": 0}], "worker process 8"),
        (OWN, ENGINE, [WORKER, {**WORKER, "pid": 9, "key": OTHER.key}], "worker process 9"),
        (OWN, ENGINE, [{**WORKER, "engine": 6}], "worker process 8"),
        (OWN, ENGINE, [], "no worker"),
    ],
)
def test_one_process_without_the_policy_is_no_proof(
    here: Any, engine: dict[str, Any], workers: list[dict[str, Any]], where: str
) -> None:
    """Refused, and the process is named."""
    with pytest.raises(PolicyRefused, match=where):
        checked(OWN, here, engine, workers)
