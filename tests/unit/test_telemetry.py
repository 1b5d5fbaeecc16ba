"""What is counted of an answer and of a turn: only what can be believed."""

import asyncio
import subprocess
import sys
import time
from typing import Any

import pytest

from gateway.errors import UpstreamBroke, UpstreamError, UpstreamTimeout, UpstreamUnreachable
from gateway.telemetry import Telemetry
from gateway.tracing import Said, caller_trace
from tests.support.gateway import ROOT


def sample(telemetry: Telemetry, name: str, **labels: str) -> float | None:
    """One number of a scrape."""
    return telemetry.registry.get_sample_value(name, labels)


def usage(prompt: Any, cached: Any) -> dict[str, Any]:
    """As vLLM tells it."""
    return {"prompt_tokens": prompt, "prompt_tokens_details": {"cached_tokens": cached}}


def test_the_cached_share_is_of_answers_that_tell_it() -> None:
    """Both counters, or neither, so that one divided by the other is the share."""
    telemetry = Telemetry()
    doubtful: list[dict[str, Any]] = [
        {},
        {"prompt_tokens": 50},
        {"prompt_tokens": 50, "prompt_tokens_details": None},
        usage(50, None),
        usage("50", 1),
        usage(50, 51),
        usage(50, -1),
    ]

    for told in (*doubtful, usage(40, 32), usage(10, 0)):
        telemetry.answered(Said("", "", [], told, ""))

    assert sample(telemetry, "mneme_prompt_tokens_total") == 50
    assert sample(telemetry, "mneme_cached_tokens_total") == 32


def test_a_lag_that_nobody_waited_is_not_counted() -> None:
    """A turn may be told to have been said years ago, or tomorrow."""
    telemetry = Telemetry()

    telemetry.reflected(0.1, [-5.0, 0.5, 3e7])

    assert sample(telemetry, "mneme_index_lag_seconds_count") == 1
    assert sample(telemetry, "mneme_index_lag_seconds_sum") == 0.5


@pytest.mark.parametrize(
    ("failed", "kind"),
    [
        (UpstreamUnreachable("x"), "unreachable"),
        (UpstreamBroke("x"), "broke"),
        (UpstreamTimeout("x"), "timeout"),
        (UpstreamError("x"), "other"),
    ],
)
def test_a_workers_failure_has_a_kind(failed: UpstreamError, kind: str) -> None:
    """From a closed set."""
    telemetry = Telemetry()
    telemetry.broke(failed)

    assert sample(telemetry, "mneme_upstream_errors_total", kind=kind) == 1


async def test_a_loop_that_is_held_up_is_seen() -> None:
    """By the time that was lost."""
    telemetry = Telemetry()
    watching = asyncio.create_task(telemetry.watch_loop())
    await asyncio.sleep(0.4)
    time.sleep(0.5)  # noqa: ASYNC251  # that is what is to be seen
    while not sample(telemetry, "mneme_loop_delay_seconds_count"):
        await asyncio.sleep(0.01)
    watching.cancel()

    assert (sample(telemetry, "mneme_loop_delay_seconds_sum") or 0) >= 0.3


def test_the_process_is_measured() -> None:
    """Memory and open files."""
    telemetry = Telemetry()

    assert (sample(telemetry, "process_resident_memory_bytes") or 0) > 1 << 20
    assert (sample(telemetry, "process_open_fds") or 0) > 0


def test_without_a_collector_no_sdk_is_loaded() -> None:
    """By the command, with all that it imports."""
    found = "import sys, gateway.cli, gateway.wiring; sys.exit('opentelemetry.sdk' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", found], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize(
    ("header", "trace"),
    [
        (b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "0af7651916cd43dd8448eb211c80319c"),
        (b"00-00000000000000000000000000000000-b7ad6b7169203331-01", ""),
        (b"00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", ""),
        (b"0af7651916cd43dd8448eb211c80319c", ""),
        (b"", ""),
        (None, ""),
    ],
)
def test_a_callers_trace_is_read_or_it_is_none(header: bytes | None, trace: str) -> None:
    """W3C traceparent; whatever else stands there gets into no log line."""
    assert caller_trace(header) == trace
