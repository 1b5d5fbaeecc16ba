"""Workers that nobody asks: what they told is the test's say. For tests without a socket."""

from typing import Any

import msgspec

from gateway.upstream.client import Patience, Upstream
from gateway.upstream.passage import Passage
from gateway.upstream.pool import Pool
from gateway.upstream.worker import Kv, Worker

REPORT: dict[str, Any] = {
    "object": "kv.policy",
    "policy": "sink_window",
    "knobs": {"sink": 32, "window": 256},
    "block": 32,
    "trained": 512,
    "per_request": ["full", "sink_window"],
    "processes": [{"role": "engine", "pid": 7, "rank": 0, "layers": 4}],
    "vllm": "0.32.0",
    "sessions": False,
}
"""What a worker with sinks and a window tells at /kv."""


def report(**changed: Any) -> Kv:
    """The report with some of it changed."""
    return msgspec.convert({**REPORT, **changed}, Kv)


def quiet_worker(
    *models: str, kv: Kv | None = None, window: int = 0, told: bool = True, url: str = "http://127.0.0.1:9/v1"
) -> Worker:
    """A worker that told of these models and this policy."""
    worker = Worker(Upstream(url, "", Patience(1.0, 1.0, 1.0)), url, window)
    worker.cards, worker.kv, worker.told = {model: {"id": model} for model in models}, kv, told
    return worker


def straight(worker: Worker) -> Passage:
    """The way to a worker that has no fellow."""
    return Passage(Pool((worker,)), worker)
