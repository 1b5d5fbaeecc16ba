"""A gateway that runs, as doctor asks it; and what is none."""

import json
from pathlib import Path

import pytest

from gateway.doctor.running import look
from tests.support.findings import told
from tests.support.gateway import running_gateway
from tests.support.upstream import Reply, scripted_upstream


@pytest.mark.parametrize("expected", [True, False])
async def test_nobody_there_is_a_failure_only_where_somebody_was_named(expected: bool) -> None:
    """A gateway need not run for doctor to look; of a password in the URL nothing is shown."""
    line = told(await look("http://user:hunter2@127.0.0.1:1", expected=expected), "gateway")

    assert line.startswith("fail" if expected else "skipped")
    assert "hunter2" not in line


async def test_a_gateway_tells_its_parts(tmp_path: Path) -> None:
    """Down without its worker, and then it says which part it is."""
    async with scripted_upstream() as worker, running_gateway(tmp_path, worker.url) as gateway:
        line = told(await look(f"{gateway.url}/", expected=True), "gateway")
        assert line.startswith("ok") and "journal" in line
        worker.models = Reply(500)
        assert "is down: upstream" in told(await look(gateway.url, expected=False), "gateway")


async def test_a_degraded_gateway_is_told() -> None:
    """It answers, so it is no failure."""
    body = json.dumps({"status": "degraded", "parts": {"upstream": "ok", "memories": "failing"}}).encode()
    async with scripted_upstream() as gateway:
        gateway.default = Reply(chunks=(body,))
        line = told(await look(gateway.url.removesuffix("/v1"), expected=True), "gateway")

    assert line.startswith("warn") and "is degraded: memories →" in line


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"{}", b"[]", b"1", b'{"status": "ok", "parts": 3}'])
async def test_another_program_at_the_port_fails(body: bytes) -> None:
    """Whatever it answers."""
    async with scripted_upstream() as other:
        other.default = Reply(chunks=(body,))
        assert "MNEME_PORT" in told(await look(other.url.removesuffix("/v1"), expected=False), "gateway")
