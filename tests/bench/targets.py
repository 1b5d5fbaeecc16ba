"""What is compared: how each target is started, on which core, and how one knows that it answers."""

import asyncio
import os
import random
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.bench import memories
from tests.bench.load import Aim, Job, request

ROOT = Path(__file__).parents[2]
NAMES = ("direct", "off", "read", "on", "forwarder", "litellm", "vllm-router")
MEMORY = ("read", "on")
OURS = ("off", *MEMORY)
_START_SECONDS = 90.0
_STOP_SECONDS = 15.0


@dataclass(frozen=True)
class Target:
    """One row of the table. `pid` is the root of the processes whose CPU counts."""

    aim: Aim
    pid: int

    @property
    def name(self) -> str:
        """What the table calls it."""
        return self.aim.name


@dataclass(frozen=True)
class Cores:
    """The core of the target under test, and the one of everything else; None where there is only one."""

    target: int | None
    rest: int | None


def cores() -> Cores:
    """Two cores of those that we may use."""
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(allowed[0], allowed[1]) if len(allowed) > 1 else Cores(None, None)


def groups(names: Sequence[str]) -> list[list[str]]:
    """The targets to start, by process: the two with memory are one gateway, asked differently."""
    single = [[name] for name in names if name != "direct" and name not in MEMORY]
    both = [name for name in names if name in MEMORY]
    return single + ([both] if both else [])


def installed(name: str) -> bool:
    """Whether the target can be started here; the peers come with `make bench-peers`."""
    return name not in ("litellm", "vllm-router") or _peer(name).exists()


@asynccontextmanager
async def child(core: int | None, *command: str, env: Mapping[str, str] | None = None) -> AsyncIterator[int]:
    """A child process on one core, in a group of its own, ended at the end; its process id."""
    allowed = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})  # inherited by the child and all of its threads
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
    finally:
        os.sched_setaffinity(0, allowed)
    try:
        yield process.pid
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


@asynccontextmanager
async def worker(core: int | None) -> AsyncIterator[Target]:
    """The worker behind every target; asked directly it is the base that the others are compared to."""
    port = _free_port()
    async with child(core, sys.executable, "-m", "tests.bench.upstream", str(port)) as pid:
        await answers(Aim("direct", port))
        yield Target(Aim("direct", port), pid)


@asynccontextmanager
async def started(names: Sequence[str], base: Target, folder: Path, core: int | None) -> AsyncIterator[list[Target]]:
    """The targets of one group, which share a process, in front of the worker. TimeoutError when it never answers."""
    port = _free_port()
    command, env = _command(names[0], port, f"http://127.0.0.1:{base.aim.port}", folder)
    aims = [Aim(name, port, user=name in MEMORY, memory=name if name in OURS else "") for name in names]
    async with child(core, *command, env=env) as pid:
        for aim in aims:
            await answers(aim)
        yield [Target(aim, pid) for aim in aims]


async def fill(data: Path, count: int, knobs: Mapping[str, str] | None = None) -> None:
    """Load memories into this data directory, or to where `knobs` (MNEME_*) say. RuntimeError when that fails."""
    chosen = {"DATA": str(data), "UPSTREAM": "http://127.0.0.1:9/v1", **(knobs or {})}
    env = {**os.environ, **{f"MNEME_{name}": value for name, value in chosen.items()}}
    command = (sys.executable, "-m", "tests.bench.memories", str(count))
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=env)
    if await process.wait():
        raise RuntimeError("the memories could not be loaded; the error is printed above")


def _command(name: str, port: int, upstream: str, folder: Path) -> tuple[Sequence[str], Mapping[str, str]]:
    if name == "forwarder":
        return (sys.executable, "-m", "tests.bench.forwarder", str(port), upstream), {}
    if name == "vllm-router":
        ports = ("--port", str(port), "--prometheus-port", str(_free_port()))
        return (str(_peer(name)), "--worker-urls", upstream, "--policy", "round_robin", *ports), {}
    if name == "litellm":
        config = folder / "litellm.yaml"
        config.write_text(
            "model_list:\n- model_name: bench\n  litellm_params:\n    model: hosted_vllm/bench\n"
            f"    api_base: {upstream}/v1\n    api_key: none\n"
        )
        permit = "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY"
        knobs = {permit: "true", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
        return (str(_peer(name)), "--config", str(config), "--port", str(port), "--num_workers", "1"), knobs
    data = folder / ("memory" if name in MEMORY else "empty")
    knobs = {"UPSTREAM": f"{upstream}/v1", "DATA": str(data), "PORT": str(port), "KEYS": f"bench:{memories.TENANT}"}
    return (sys.executable, "-m", "gateway", "serve"), {f"MNEME_{key}": value for key, value in knobs.items()}


def _peer(name: str) -> Path:
    return ROOT / f".venv-{name}" / "bin" / name


async def answers(aim: Aim) -> None:
    """Return once a question gets its whole answer, streamed as well. TimeoutError when none comes."""
    for events in (0, 3):
        asked = request(aim, Job([aim], 0, 0, events=events), random.Random(events))
        async with asyncio.timeout(_START_SECONDS):
            while not await _answered(aim.port, asked, b"[DONE]" if events else b"chat.completion"):
                await asyncio.sleep(0.1)


async def _answered(port: int, asked: bytes, mark: bytes) -> bool:
    read = b""
    with suppress(OSError, TimeoutError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(asked)
        async with asyncio.timeout(5):
            while mark not in read and (piece := await reader.read(1 << 16)):
                read += piece
        writer.close()
    return read.startswith(b"HTTP/1.1 200") and mark in read


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
