"""The bench runs and reports. Never judges a number: on a busy machine every one of them is wrong."""

import asyncio
import json
import sys
from pathlib import Path

from tests.bench import table
from tests.bench.measure import Row
from tests.bench.targets import ROOT


async def test_a_short_run_fills_every_cell_of_the_table(tmp_path: Path) -> None:
    """Direct and forwarder are measured in every way that applies to them, and nothing fails."""
    file = tmp_path / "bench.json"
    options = ("--seconds", "0.2", "--rounds", "1", "--targets", "direct,forwarder", "--json", str(file))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench", *options, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await process.communicate()

    told = json.loads(file.read_text())["targets"]
    assert process.returncode == 0
    assert all(value is not None for value in told["forwarder"].values())
    assert told["direct"]["failed"] == told["forwarder"]["failed"] == 0
    assert told["forwarder"]["requests_per_s"] > 0 < told["forwarder"]["asked"]
    assert b"\nforwarder " in printed


def test_a_goal_without_its_measurement_is_not_called_reached() -> None:
    """No number, no verdict."""
    verdicts = {verdict for _, _, verdict in table.goals({"off": table.summary(Row())})}

    assert verdicts == {"not measured"}


def test_goals_compare_in_their_own_direction() -> None:
    """Costs must stay below their limit, rates above it."""
    off = table.summary(Row(request_ms=[0.2], event_us=[31.0], rps=[4000.0]))
    other = table.summary(Row(rps=[900.0]))

    verdicts = [verdict for _, _, verdict in table.goals({"off": off, "forwarder": other})[:3]]

    assert verdicts == ["reached", "missed", "reached"]


def test_a_target_that_left_its_core_idle_is_named() -> None:
    """A rate that something else limited is not passed off as the target's."""
    notes = table.notes({"off": table.summary(Row(busy=[0.4])), "read": table.summary(Row(busy=[0.99]))})

    assert len(notes) == 1
    assert "off (40%)" in notes[0] and "read" not in notes[0]
