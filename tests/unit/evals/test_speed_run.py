"""`mneme eval speed` from end to end, with few memories: what it measures, writes and prints."""

import argparse
import json
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from gateway.evals.speed import command
from gateway.evals.speed.clocked import Clocked
from gateway.evals.speed.measure import Asked, Timing
from gateway.evals.speed.report import Report, as_markdown
from gateway.evals.speed.run import Plan, run
from gateway.services import Services
from gateway.settings import Settings
from gateway.wiring import open_services

ASKED = Asked(10, 1, 0.5, 0.1, (), (Timing(9.0, 5.0, 1.0, 4.0), Timing(11.0, 6.0, 2.0, 6.0)), 2**20, 64.0)


def given(*words: str) -> Plan:
    """What the command line means."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    command.arguments(parser)
    return command.plan(parser.parse_args(["--json", "out.json", *words]))


def opened(data: Path) -> AbstractAsyncContextManager[Services]:
    """Embedded stores in the directory, and the embedder that comes with Mneme."""
    chosen: dict[str, Any] = {"data": data}
    return open_services(Settings(**chosen))


async def test_every_size_is_filled_and_asked(tmp_path: Path) -> None:
    """By users new to it and users who come back; the file holds what the table sums up."""
    said: list[str] = []
    plan = Plan(tmp_path / "out.json", (60,), users=3, questions=4, turns=6)
    await run(plan, opened, said.append)

    told: dict[str, Any] = json.loads((tmp_path / "out.json").read_text())
    (one,) = told["sizes"]
    assert (one["memories"], one["users"]) == (60, 3)
    assert (len(one["first"]["each"]), len(one["later"]["each"])) == (2, 4)
    assert one["disk_bytes"] > 0
    assert one["rss_mib"] > 0
    millis = one["later"]["millis"]
    assert 0 < millis["search"]["p50"] < millis["whole"]["p50"] <= millis["whole"]["p95"]
    assert told["indexing"]["turns_per_second"] > 0
    assert "| 60 | 3 | later | 4 |" in said[0]


def test_a_single_user_has_no_first_question() -> None:
    """The store was asked one, to have it build what it builds."""
    table = as_markdown(Report("words", 6, 150.0, (ASKED,)))
    assert "| 10 | 1 | later | 2 | 10.0 | 10.9 | 5.5 | 1.5 | 3.0 | 5.0 | 64 | 1 |" in table
    assert "first" not in table


def test_the_command_line_has_a_curve_as_its_default() -> None:
    """Of one user; sizes and users may be said."""
    assert given() == Plan(Path("out.json"), (1_000, 10_000, 100_000))
    assert given("--sizes", "5,7", "--users", "3") == Plan(Path("out.json"), (5, 7), users=3)


@pytest.mark.parametrize("sizes", ["0", "", "1,", "ten", "-1"])
def test_sizes_that_are_none_are_refused(sizes: str) -> None:
    """Before anything is filled."""
    with pytest.raises(argparse.ArgumentError):
        given(f"--sizes={sizes}")


async def test_a_stopwatch_times_what_is_awaited() -> None:
    """Also a call that fails; what is no coroutine passes as it is."""

    class Part:
        name = "part"

        async def work(self, how: str) -> str:
            if how == "badly":
                raise ValueError(how)
            return how

    clocked = Clocked(Part())
    assert await clocked.work("well") == "well"
    first = clocked.millis["work"]
    with pytest.raises(ValueError, match="badly"):
        await clocked.work("badly")
    assert clocked.millis["work"] > first > 0
    assert clocked.name == "part"
