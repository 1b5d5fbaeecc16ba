"""What the stack runs in other people's images, as far as it can be run without them: Redis, and the healthchecks."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml

from gateway.errors import MemoryUnavailable
from gateway.memory.stores.redis import Connection
from tests.support.tools import needs
from tests.support.upstream import Reply, scripted_upstream
from tests.unit.deploy.stack import ROOT, needs_compose, services

PASSWORD = "a-password_of_some_length"
needs_redis = needs("redis-server", "Debian's redis-server")


@pytest.fixture(params=["compose", "kubernetes"])
def scripts(request: pytest.FixtureRequest) -> tuple[str, str]:
    """What starts Redis, and what asks it how it is."""
    if request.param == "compose":
        redis = services()["redis"]
        return redis["command"][0], redis["healthcheck"]["test"][1]
    stateful = next(yaml.safe_load_all((ROOT / "deploy/kubernetes/single/redis.yaml").read_text()))
    (container,) = stateful["spec"]["template"]["spec"]["containers"]
    return container["args"][0], container["readinessProbe"]["exec"]["command"][-1]


@asynccontextmanager
async def started(script: str, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Redis by this script, but with a folder and a socket of the test's."""
    elsewhere = script.replace("dir /data", f"dir {folder}\nport 0\nunixsocket {folder}/redis.sock")
    assert elsewhere != script
    process = await shell(elsewhere, PASSWORD)
    try:
        async with asyncio.timeout(10):
            while not (folder / "redis.sock").exists():
                await asyncio.sleep(0.01)
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def shell(script: str, password: str) -> asyncio.subprocess.Process:
    """A script in a shell that knows the password."""
    env, nowhere = {**os.environ, "REDIS_PASSWORD": password}, asyncio.subprocess.DEVNULL
    return await asyncio.create_subprocess_exec("/bin/sh", "-c", script, env=env, stdout=nowhere, stderr=nowhere)


@needs_compose
@needs_redis
async def test_the_journal_takes_redis_as_it_is_started(scripts: tuple[str, str], tmp_path: Path) -> None:
    """It has a log and evicts nothing, or it would be refused; and it wants the password."""
    async with started(scripts[0], tmp_path):
        async with Connection.open(f"unix://:{PASSWORD}@{tmp_path}/redis.sock", durability="process") as redis:
            await redis.ping()
        with pytest.raises(MemoryUnavailable):
            async with Connection.open(f"unix://{tmp_path}/redis.sock", durability="process"):
                pass


@needs_compose
@needs_redis
async def test_redis_s_healthcheck_tells_the_truth(scripts: tuple[str, str], tmp_path: Path) -> None:
    """With the password it is well; with another, or when it has gone, it is not. A stop reaches Redis itself."""
    asked = scripts[1].replace("redis-cli", f"redis-cli -s {tmp_path}/redis.sock")
    async with started(scripts[0], tmp_path) as process:
        told = [await (await shell(asked, password)).wait() == 0 for password in (PASSWORD, "another")]
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            left = await process.wait()
        told.append(await (await shell(asked, PASSWORD)).wait() == 0)

    assert (told, left) == ([True, False, False], 0)


def asking(command: Sequence[str], port: int) -> list[str]:
    """A healthcheck, at another port, by this Python."""
    command = [sys.executable if word in ("python", "python3") else word for word in command]
    return [re.sub(r"(127\.0\.0\.1[:/])\d+", rf"\g<1>{port}", word) for word in command]


def in_dockerfile(name: str) -> list[str]:
    """The command of its HEALTHCHECK."""
    command = re.findall(r"HEALTHCHECK .*?CMD (\[.*?\])$", (ROOT / "deploy" / name).read_text(), re.S | re.M)[0]
    words: list[str] = yaml.safe_load(command)
    return words


@needs_compose
@pytest.mark.parametrize("service", ["qdrant", "reader", "gateway", "vllm"])
async def test_a_healthcheck_tells_the_truth(service: str) -> None:
    """200 is well, 503 is not, nobody is not; by the command that the container runs."""
    files = {"gateway": "gateway.Dockerfile", "vllm": "worker.Dockerfile"}
    command = in_dockerfile(files[service]) if service in files else services()[service]["healthcheck"]["test"][1:]

    async def well(port: int) -> bool:
        process = await asyncio.create_subprocess_exec(*asking(command, port), stderr=asyncio.subprocess.DEVNULL)
        return await process.wait() == 0

    async with scripted_upstream() as server:
        port = int(server.url.split(":")[2].split("/")[0])
        server.reply(Reply(200), Reply(503))
        told = [await well(port), await well(port)]
        asked = {received.target for received in server.received}
    told.append(await well(port))

    assert told == [True, False, False]
    assert asked <= {b"/readyz", b"/health", b"/health/live"}
