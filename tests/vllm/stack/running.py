"""The whole stack: a vLLM worker under a KV policy, and the gateway before it in the environment of its own. Each is a
process; this side only speaks HTTP."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from openai import OpenAI

from tests.vllm.server import Served, serving
from tests.vllm.tiny import build

ROOT = Path(__file__).parents[3]
TENANTS = ("acme", "globex")
SINK, WINDOW, LONGEST = 32, 2048, 16384
"""The worker's own knobs, and the longest prompt: all in tokens."""
ALIASES = {"endless": {"policy": "sink_window"}, "whole": {"policy": "full"}, "headed": {"policy": "duo"}}
_GATEWAY = ROOT / ".venv" / "bin" / "python"
_MODELS = ROOT / "build" / "test-models"
_PATIENCE_SECONDS = 60.0
# Busy machines are slow; nothing here is about how long recall takes.
_DEADLINE_SECONDS = 10.0


@dataclass(frozen=True)
class Stack:
    """`gateway` is its origin."""

    worker: Served
    gateway: str

    def client(self, user: str, tenant: str = TENANTS[0]) -> OpenAI:
        """OpenAI's own client, as a user of a tenant; it never retries, so that a failure shows."""
        return OpenAI(
            base_url=f"{self.gateway}/v1",
            api_key=f"{tenant}-key",
            default_headers={"x-mneme-user": user},
            max_retries=0,
            timeout=120,
        )

    def direct(self) -> OpenAI:
        """The same for the worker itself."""
        return OpenAI(base_url=f"{self.worker.url}/v1", api_key="none", max_retries=0, timeout=120)

    def admin(self, path: str, **query: str) -> Any:
        """A page of the gateway's /admin."""
        answer = httpx.get(f"{self.gateway}/admin/{path}", params={"tenant": TENANTS[0], **query}, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def indexed(self) -> None:
        """Return when the gateway's writer has nothing left to do."""
        assert until(lambda: self.admin("journal")["pending"] == 0)

    def held(self) -> list[Any]:
        """The requests that the worker runs now, with their policy and their blocks."""
        running: list[Any] = self.worker.get("/kv/requests")["requests"]
        return running


def until(holds: Callable[[], bool], seconds: float = _PATIENCE_SECONDS) -> bool:
    """Whether it holds within that time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@contextmanager
def running_stack(folder: Path) -> Iterator[Stack]:
    """Both, until the end of the block; `folder` takes the model, the gateway's data and what they print."""
    knobs = f"--kv sink_window --sink {SINK} --window {WINDOW} --max-model-len {LONGEST} --max-num-batched-tokens 2048"
    # What a prefix cache finds is no matter of the model: the smallest is as good, and attends fastest.
    model = build(folder / "model", trained=LONGEST, heads=1, kv_heads=1, layers=1)
    with (
        serving(model, folder / "worker.log", *knobs.split()) as worker,
        running_gateway(folder, worker.url) as gateway,
    ):
        stack = Stack(worker, gateway)
        assert until(lambda: all(each["kv"] for each in stack.admin("workers")["workers"]))
        yield stack


@contextmanager
def running_gateway(folder: Path, worker: str, **more: str) -> Iterator[str]:
    """`mneme serve` before the worker; its origin. `more` are settings, as in `REFLECT_TURNS="2"`."""
    data, log = folder / "data", folder / "gateway.log"
    data.mkdir(mode=0o700)
    _MODELS.mkdir(parents=True, exist_ok=True)
    (data / "models").symlink_to(_MODELS)  # the embedder's graph takes a second to make, and is always the same
    knobs = {
        "PORT": "0",
        "DATA": str(data),
        "UPSTREAM": f"{worker}/v1",
        "WORKERS": json.dumps(ALIASES),
        "KEYS": ",".join(f"{tenant}-key:{tenant}" for tenant in TENANTS),
        "RECALL_DEADLINE": str(_DEADLINE_SECONDS),
        **more,
    }
    told = {name: value for name, value in os.environ.items() if not name.startswith("MNEME_")}
    told |= {f"MNEME_{name}": value for name, value in knobs.items()}
    with log.open("wb") as printed:
        process = subprocess.Popen(
            [_GATEWAY, "-m", "gateway", "serve"], cwd=ROOT, env=told, stdout=printed, stderr=printed
        )
    try:
        ready = until(lambda: process.poll() is not None or "Ctrl-C" in log.read_text())
        assert ready and process.poll() is None, log.read_text()[-2000:]
        yield next(word for word in log.read_text().split() if word.startswith("http")).removesuffix("/v1")
    finally:
        process.terminate()
        try:
            process.wait(30)
        finally:
            process.kill()
            process.wait()
