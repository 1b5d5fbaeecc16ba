"""The fleet's bench counts what it says, and a short run of it fills its table. Never judges a number."""

from pathlib import Path

import pytest

from tests.bench_fleet import table
from tests.bench_fleet.costs import Row
from tests.bench_fleet.lag import Lag, quantile, within
from tests.bench_fleet.load import load
from tests.bench_fleet.sizing import Case, plan
from tests.bench_fleet.units import Unit

BUCKETS = {0.5: 50.0, 1.0: 90.0, 2.0: 98.0, 5.0: 100.0, float("inf"): 100.0}


def lag(p99: float) -> Lag:
    """What one writer did at fifty turns a second."""
    cpu = dict.fromkeys(("gateways", "writers", "Redis", "store"), 0.1)
    return Lag(1, 50.0, 49.9, 0, 1500, 0.995, 0.2, p99, [4.0, 5.0, 6.0], cpu)


def test_a_quantile_lies_on_a_straight_line_through_its_bucket() -> None:
    """The median at the first edge, p94 in the middle of the third bucket, p99 in the middle of the fourth."""
    assert [quantile(BUCKETS, share) for share in (0.5, 0.94, 0.99)] == pytest.approx([0.5, 1.5, 3.5])


def test_what_is_beyond_every_edge_is_told_as_the_last_edge() -> None:
    """Nobody knows how far beyond."""
    assert quantile({1.0: 0.0, 2.0: 10.0, float("inf"): 100.0}, 0.99) == 2.0


def test_the_share_within_the_goal_is_counted_exactly() -> None:
    """The goal is an edge."""
    assert within(BUCKETS, 2.0) == 0.98


def test_every_lane_has_a_line() -> None:
    """Of one width, with a dash for what does not apply."""
    direct = Row(rps=[9000.0], cpu={"gateway": [0.05]}, crowded=[1.0, 2.0])
    on = Row(
        [2.0, 3.0],
        [2.5],
        [9.0, 8.0],
        [1.0, 2.0],
        [150.0],
        {who: [1.0] for who in ("gateway", "writer", "Redis", "store")},
    )
    lines = table.load_text({("direct", 1): direct, ("on", 2): on}).splitlines()

    assert len({len(line) for line in lines}) == 1
    assert [cell.strip() for cell in lines[2].strip("|").split("|")][:4] == ["direct", "1", "-", "-"]
    assert [cell.strip() for cell in lines[3].strip("|").split("|")][6:11] == ["150", "1.00", "1.00", "1.00", "1.00"]


def test_a_goal_is_reached_missed_or_not_measured() -> None:
    """Without a number there is no verdict."""
    rows = {("off", 1): Row(added=[0.3, 0.4]), ("read", 1): Row(recall=[12.0, 13.0])}

    assert [verdict for _, _, verdict in table.goals(rows, [lag(1.5)])] == ["reached", "missed", "reached"]
    assert {verdict for _, _, verdict in table.goals({}, [])} == {"not measured"}
    assert table.goals({}, [lag(2.5)])[-1][2] == "missed"


def test_lags_and_units_are_told() -> None:
    """A line each."""
    assert "| 1 " in table.lag_text([lag(1.0)]).splitlines()[2]
    assert "3,072" in table.units_text([Unit("dense", "vectors", 3072.0, "bytes")])


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_a_short_run_measures_ours_over_redis_and_the_store(tmp_path: Path) -> None:
    """Memory off and on, as one process and as two: everything that is asked is answered, and every part's CPU told."""
    rows = await load(("direct", "off", "on"), 0.5, 1, 500, tmp_path, lambda what: None)

    assert [*rows] == [("direct", 1), ("off", 1), ("on", 1), ("off", 2), ("on", 2)]
    assert all(row.asked and not row.failed for row in rows.values())
    assert all(rows["on", processes].cpu["writer"][0] > 0 for processes in (1, 2))
    assert rows["on", 1].recall


KEYS = (
    *("dense", "sparse", "words", "payload", "fields", "links", "allocated", "journalled", "placed", "trace", "user"),
    *("request", "recall", "keep", "index", "redis_recall", "redis_turn", "store_recall", "store_turn"),
)


def test_the_plan_grows_as_its_formulae_say() -> None:
    """Twice the memories take twice the disk; turns kept for a day are as many as a day brings."""
    of = dict.fromkeys(KEYS, 100.0)
    once, twice = (dict((what, much) for what, _, much in plan(of, Case(memories=m))) for m in (10**9, 2 * 10**9))
    days = {what: much for what, _, much in plan(of, Case(kept_days=3.0, users=1000, turns_a_day=10.0))}

    assert once["Qdrant: disk per memory"] == twice["Qdrant: disk per memory"] == "600 bytes"
    assert (once["Qdrant: disk"], twice["Qdrant: disk"]) == ("1,800 GB", "3,600 GB")
    assert days["Redis: turns kept"] == "30,000"


def test_there_are_never_fewer_nodes_than_copies() -> None:
    """Two copies on one node would be one."""
    small = plan(dict.fromkeys(KEYS, 1.0), Case(memories=1000, copies=3))

    assert {much.rpartition(", ")[2] for what, _, much in small if "RAM" in what} == {"3 nodes"}
