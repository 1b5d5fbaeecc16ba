"""Workers and aliases as doctor asks them, over real sockets: dead, half dead, without models, without a policy."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.doctor.finding import Finding
from gateway.doctor.workers import look
from gateway.upstream.aliases import Alias
from gateway.upstream.client import Patience
from gateway.upstream.muster import open_fleet
from tests.support.findings import told
from tests.support.upstream import Reply, Upstream, scripted_upstream
from tests.support.workers import REPORT

CANARY = "hunter2"
DEAD = "http://127.0.0.1:1/v1"


def lists(worker: Upstream, *models: str, window: int = 4096) -> None:
    """It has these models."""
    cards = [{"id": model, **({"max_model_len": window} if window else {})} for model in models]
    worker.models = Reply(chunks=(json.dumps({"object": "list", "data": cards}).encode(),))


async def found(
    *urls: str, aliases: dict[str, Alias] | None = None, resolve: Sequence[str] = (), window: int = 0
) -> list[Finding]:
    """By doctor; names lead to these addresses. Without a URL the worker is the embedded one."""

    async def resolved(_host: str, _port: int) -> Sequence[str]:
        return resolve

    fleet = open_fleet(urls, CANARY, aliases or {}, Patience(1, 1, 1), window=window, resolve=resolved)
    async with fleet as opened:
        return await look(opened, embedded=not urls)


async def test_a_worker_is_told_with_its_models() -> None:
    """With the length of their prompts, and its KV policy; without the key, and no prompt is sent."""
    async with scripted_upstream() as worker:
        lists(worker, "a", "b", "c", "d", "e")
        worker.kv = Reply(chunks=(json.dumps(REPORT).encode(),))
        line = told(await found(worker.url), "worker")

    assert line.startswith("ok: 127.0.0.1:") or line.startswith("ok: http://127.0.0.1:")
    assert "a (4096 tokens), b (4096 tokens), c (4096 tokens) and 2 more, KV policy sink_window" in line
    assert CANARY not in line
    assert worker.received == []


async def test_a_length_that_nobody_tells_is_told() -> None:
    """Nothing would be compacted; the knob ends that."""
    async with scripted_upstream() as worker:
        lists(worker, "a", window=0)
        assert "MNEME_CONTEXT_TOKENS" in told(await found(worker.url), "worker")
        assert told(await found(worker.url, window=8000), "worker").startswith("ok")


@pytest.mark.parametrize("models", [Reply(404), Reply(chunks=(b"<html>",))])
async def test_a_worker_without_models_is_told(models: Reply) -> None:
    """Its URL may lack its /v1."""
    async with scripted_upstream() as worker:
        worker.models = models
        assert told(await found(worker.url), "worker").startswith("warn")


@pytest.mark.parametrize("models", [Reply(401), Reply(500), Reply(wait=60)])
async def test_a_worker_that_would_not_answer_fails(models: Reply) -> None:
    """It wants another key, is broken, or is silent."""
    async with scripted_upstream() as worker:
        worker.models = models
        assert told(await found(worker.url), "worker").startswith("fail")


async def test_a_dead_worker_fails_unless_a_fellow_lives() -> None:
    """Each is told by its URL, without the password in it."""
    dead = DEAD.replace("//", f"//user:{CANARY}@")
    (alone,) = await found(dead)
    assert alone.state == "fail" and DEAD in alone.found
    async with scripted_upstream() as worker:
        lists(worker, "a")
        findings = await found(worker.url, dead)
    assert [finding.state for finding in findings] == ["ok", "warn"]
    assert CANARY not in str([alone, *findings])


async def test_a_name_that_leads_nowhere_fails() -> None:
    """One that leads to replicas has a line for each."""
    assert "does not resolve" in told(await found("dns+http://workers:8000/v1"), "worker")
    async with scripted_upstream() as worker:
        lists(worker, "a")
        port = worker.url.split(":")[2]
        assert told(await found(f"dns+http://workers:{port}", resolve=["127.0.0.1"]), "worker").startswith("ok")


async def test_the_embedded_reader_needs_no_asking() -> None:
    """It starts with the gateway, and what it offers is known then."""
    (reader,) = await found(aliases={"endless": Alias(policy="sink_window")})
    assert (reader.state, "embedded reader" in reader.found) == ("ok", True)


@pytest.mark.parametrize(
    ("alias", "said"),
    [
        ({"policy": "sink_window"}, "ok: x: a at"),
        ({"policy": "full", "model": "a"}, "ok: x: a at"),
        ({"policy": "duo"}, "fail: x: no worker answers for it"),
        ({"url": DEAD}, "fail: x: no worker answers for it"),
    ],
)
async def test_an_alias_is_told_with_who_answers(alias: dict[str, Any], said: str) -> None:
    """By the model there, where a worker has the policy."""
    async with scripted_upstream() as worker:
        lists(worker, "a")
        worker.kv = Reply(chunks=(json.dumps(REPORT).encode(),))
        findings = await found(worker.url, aliases={"x": Alias(**alias)})

    assert told(findings, "alias").startswith(said)
