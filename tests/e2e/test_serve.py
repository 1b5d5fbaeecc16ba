"""`mneme serve` as a user meets it: with nothing but the embedded reader, and in front of another server."""

import asyncio
import re
import sys
import textwrap
from pathlib import Path

import pytest

from gateway.settings import LOCAL_KEY
from tests.e2e.sdk import sdk, tell
from tests.e2e.worker import MODEL, Worker
from tests.support.gateway import ROOT, Spawned, spawned_gateway

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def run_python(code: str) -> str:
    """What the code prints, run by a Python of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, err.decode()
    return out.decode()


def snippet(gateway: Spawned) -> str:
    """The five lines of Python that the banner shows."""
    lines = [line for line in gateway.banner.splitlines() if line.startswith("    ")]
    assert len(lines) == 5
    return textwrap.dedent("\n".join(lines))


def children(pid: int) -> list[int]:
    """The living child processes of a process."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue  # it has ended meanwhile
        if int(parent) == pid and state != "Z":
            found.append(int(stat.parent.name))
    return found


def lives(pid: int) -> bool:
    """Whether the process still runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
async def test_the_printed_snippet_works_when_pasted(tmp_path: Path) -> None:
    """It tells a fact, asks for it in another conversation, and prints an answer that holds it."""
    async with spawned_gateway(tmp_path, recall_deadline="2") as gateway:
        printed = await run_python(snippet(gateway))

    assert "My sister Ada keeps bees in Riga." in printed


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to see other processes")
async def test_the_reader_does_not_outlive_a_killed_gateway(tmp_path: Path) -> None:
    """kill -9 of the gateway ends the embedded reader too."""
    async with spawned_gateway(tmp_path) as gateway:
        readers = children(gateway.process.pid)
        gateway.kill()
        await gateway.process.wait()
        async with asyncio.timeout(10):
            while any(lives(pid) for pid in readers):
                await asyncio.sleep(0.02)

    assert len(readers) == 1


@pytest.mark.slow
async def test_it_fronts_another_server(worker: Worker, tmp_path: Path) -> None:
    """MNEME_UPSTREAM: the other server answers, and is told what was remembered; no reader is started."""
    async with spawned_gateway(tmp_path, upstream=worker.url, recall_deadline="2") as gateway:
        started = children(gateway.process.pid)
        pasted = re.sub("<a model of the upstream>", MODEL, snippet(gateway))
        printed = await run_python(pasted)
        async with sdk(f"{gateway.url}/v1", key=LOCAL_KEY) as client:
            await tell(client, "Who keeps bees in Riga?")

    assert printed == "Understood, that was message 1.\n"
    assert "My sister Ada keeps bees in Riga." in worker.prompts[1]
    assert "My sister Ada keeps bees in Riga." in worker.prompts[2]
    assert started == []
