"""A worker as an operator starts it: `python -m workers serve` in processes of its own, asked over HTTP."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.vllm.engine import BLOCK

_PATIENCE_SECONDS = 240.0
ROOM = ["--dtype", "float32", "--enforce-eager", "--max-num-seqs", "8"]


@dataclass(frozen=True, slots=True)
class Served:
    """`url` is its origin, `log` what all its processes print."""

    url: str
    pid: int
    log: Path

    def get(self, path: str) -> Any:
        """A page of its origin, which must be JSON."""
        answer = httpx.get(self.url + path, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        text = httpx.get(f"{self.url}/metrics", timeout=30).text
        return sum(float(value) for value in re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", text, re.M))


def environment(**changed: str) -> dict[str, str]:
    """That of these tests, but with processes of its own, as by default."""
    told = {**os.environ, "VLLM_ENABLE_V1_MULTIPROCESSING": "1", **changed}
    return {name: value for name, value in told.items() if name != "VLLM_PLUGINS"}


def command(model: Path, *options: str) -> list[str]:
    """The command line of a worker that serves this model as "tiny"."""
    told = ["serve", "--model", str(model), "--served-model-name", "tiny", "--host", "127.0.0.1"]
    return [sys.executable, "-m", "workers", *told, *ROOM, *options]


def free_port() -> int:
    """One that nobody listened on a moment ago."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@contextmanager
def serving(model: Path, log: Path, *options: str) -> Iterator[Served]:
    """Until the end of the block; then it must end well when it is told to."""
    port = free_port()
    with log.open("wb") as printed:
        process = subprocess.Popen(
            command(model, "--port", str(port), *options), stdout=printed, stderr=printed, env=environment()
        )
    served = Served(f"http://127.0.0.1:{port}", process.pid, log)
    try:
        _wait(served, process)
        yield served
        process.terminate()
        assert process.wait(60) == 0, log.read_text()[-2000:]
    finally:
        process.kill()
        process.wait()


def _wait(served: Served, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            served.get("/kv")
            return
        except httpx.ConnectError:
            time.sleep(0.2)
    raise AssertionError(f"It does not serve:\n{served.log.read_text()[-4000:]}")


__all__ = ["BLOCK", "Served", "command", "environment", "free_port", "serving"]
