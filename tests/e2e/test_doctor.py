"""`mneme doctor` as an operator meets it: before the first start, beside what runs, with settings that are refused, and
when everything is dead. It changes nothing and shows no secret."""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.sdk import sdk, tell
from tests.e2e.worker import Worker
from tests.support.fleet import SECRET
from tests.support.gateway import ROOT, spawned_gateway
from tests.support.qdrant_server import Node, serving
from tests.support.redis_server import redis_server

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

CANARY = "hunter2-canary-7f3a"


async def doctor(folder: Path, *arguments: str, **knobs: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of `python -m gateway doctor`, run in this folder."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MNEME_")}
    given = {f"MNEME_{name.upper()}": value for name, value in knobs.items()}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gateway",
        "doctor",
        *arguments,
        cwd=folder,
        env={**clean, "PYTHONPATH": str(ROOT), **given},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 90)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def checks(folder: Path, *arguments: str, **knobs: str) -> dict[str, str]:
    """What each check came to; the exit status is that of the worst."""
    status, out, err = await doctor(folder, "--json", *arguments, **knobs)
    told = json.loads(out)
    assert err == ""
    assert status == (1 if told["status"] == "fail" else 0), out
    return {check["name"]: check["state"] for check in told["checks"]}


async def test_before_the_first_start_all_is_well(tmp_path: Path) -> None:
    """In an empty directory, which stays empty."""
    status, out, err = await doctor(tmp_path, port="1", recall_deadline="5")

    assert (status, err) == (0, "")
    assert "0 fail" not in out and "fail" not in out.splitlines()[-1]
    assert "the first start makes it" in out
    assert os.listdir(tmp_path) == []


async def test_beside_a_gateway_that_runs(worker: Worker, tmp_path: Path) -> None:
    """It is asked too, and goes on as if nobody had looked."""
    data = tmp_path / "data"
    knobs = {"upstream": worker.url, "recall_deadline": "5"}
    async with spawned_gateway(data, stderr=None, **knobs) as gateway, sdk(f"{gateway.url}/v1") as client:
        await tell(client, "My sister Ada keeps bees in Riga.")
        found = await checks(tmp_path, "--url", gateway.url, data=str(data), **knobs)
        await tell(client, "Where does my sister Ada keep bees?")

    assert found.pop("database pages") == "skipped"
    assert found.pop("worker") in ("ok", "warn")  # the scripted one tells no length of prompts
    assert {*found.values()} == {"ok"}
    assert {"database", "index", "embedder", "gateway", "journal", "secret"} <= {*found}
    assert "My sister Ada keeps bees in Riga." in worker.prompts[-1]


async def test_beside_shared_stores(worker: Worker, tmp_path: Path) -> None:
    """Over a real Redis and the stand-in for Qdrant, by the settings of a gateway that uses them."""
    with redis_server() as redis:
        async with serving(Node(tmp_path / "qdrant")) as port:
            knobs = {
                "upstream": worker.url,
                "recall_deadline": "5",
                "redis_url": redis.url,
                "qdrant_url": "http://127.0.0.1:6333",
                "qdrant_grpc_port": str(port),
                "secret": SECRET,
            }
            async with spawned_gateway(tmp_path / "data", stderr=None, **knobs) as gateway:
                found = await checks(tmp_path, "--url", gateway.url, data=str(tmp_path / "data"), **knobs)

    assert found.pop("worker") in ("ok", "warn")
    assert {*found.values()} == {"ok"}
    assert {"redis", "redis persistence", "redis format", "qdrant", "index", "clock", "gateway"} <= {*found}
    assert "database" not in found


async def test_refused_settings_are_a_finding(tmp_path: Path) -> None:
    """The knob is named, its value is not; where to look further is not known."""
    status, out, err = await doctor(tmp_path, recall_deadline=CANARY)
    assert (status, err) == (1, "")
    assert "MNEME_RECALL_DEADLINE" in out and CANARY not in out
    found = await checks(tmp_path, policy="telepathy")
    assert (found["settings"], found["all else"]) == ("fail", "skipped")
    found = await checks(tmp_path, workers="{")
    assert found["settings"] == "fail"


async def test_when_all_is_dead_all_is_named_and_no_secret_is(tmp_path: Path) -> None:
    """In time; and not even in the words of what failed."""
    port = "127.0.0.1:1"
    begun = time.monotonic()
    status, out, err = await doctor(
        tmp_path,
        "--url",
        f"http://admin:{CANARY}@{port}",
        redis_url=f"redis://mneme:{CANARY}@{port}/0",
        qdrant_url=f"http://{port}",
        qdrant_key=CANARY,
        qdrant_grpc_port="1",
        secret=f"{CANARY}{CANARY}",
        upstream=f"http://user:{CANARY}@{port}/v1",
        upstream_key=CANARY,
        workers=json.dumps({"alias": {"url": f"http://{port}/v1/", "key": CANARY, "model": "m"}}),
        keys=f"{CANARY}:acme",
        admin_key=CANARY,
        embedder="http",
        embedder_url=f"http://user:{CANARY}@{port}/v1",
        embedder_model="m",
        embedder_key=CANARY,
    )

    failed = {line[9:].split("  ")[0] for line in out.splitlines() if line.startswith("FAIL")}
    assert (status, err) == (1, "")
    assert {"redis", "qdrant", "embedder", "worker", "alias", "gateway"} <= failed
    assert CANARY not in out
    assert time.monotonic() - begun < 60
