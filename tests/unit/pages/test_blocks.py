"""What a worker tells of its KV, as maps. No worker."""

import re
from typing import Any

from gateway.pages.views.blocks import KEPT, Samples
from tests.support.kv_pages import HELD
from tests.support.workers import REPORT


def told(*requests: tuple[str, int, list[list[int]]], policy: str = "sink_window") -> dict[str, Any]:
    """A worker with sinks of one block of 32 tokens, and its requests: name, tokens, runs of blocks."""
    running = [{"id": id, "policy": policy, "tokens": tokens, "live": live} for id, tokens, live in requests]
    return {"kv": REPORT, "block": 32, "pool": 4096, "requests": running}


def boxes(path: str) -> list[tuple[int, ...]]:
    """What a path fills: left edge, top, width, height."""
    return [tuple(map(int, found)) for found in re.findall(r"M(\d+) (\d+)h(\d+)v(\d+)h-\d+z", path)]


def test_blocks_are_pinned_resident_or_dropped() -> None:
    """Sinks are pinned; of a policy that a request chose nobody knows what it pins."""
    shown = Samples().add(0.0, {**HELD, "kv": REPORT})
    first, second = shown.requests

    assert (shown.block, shown.pool, shown.held, shown.more) == (32, HELD["pool"], 5, 0)
    assert (first.blocks, first.pinned, first.resident, first.dropped) == (6, 1, 2, 3)
    assert (second.blocks, second.pinned, second.resident, second.dropped) == (2, 0, 2, 0)


def test_a_run_that_is_partly_pinned_is_drawn_in_two() -> None:
    """Over the blocks that there are, which lie under them as dropped."""
    (request,) = Samples().add(0.0, told(("a", 320, [[0, 3], [8, 10]]))).requests

    assert boxes(request.paths["dropped"]) == [(0, 0, 10, 14)]
    assert boxes(request.paths["pinned"]) == [(0, 0, 1, 14)]
    assert boxes(request.paths["resident"]) == [(1, 0, 2, 14), (8, 0, 2, 14)]


def test_former_samples_lie_below_the_latest_first() -> None:
    """So that a window is seen to move; what did not run then has no row."""
    samples = Samples()
    samples.add(0.0, told(("a", 64, [[0, 2]])))
    samples.add(2.0, told(("a", 128, [[0, 1], [2, 4]])))
    a, b = samples.add(4.0, told(("a", 192, [[0, 1], [4, 6]]), ("b", 32, [[0, 1]]))).requests

    assert boxes(a.paths["resident"]) == [(4, 0, 2, 14), (2, 16, 2, 3), (1, 19, 1, 3)]
    assert (a.width, a.height, b.height) == (6, 22, 16)


def test_samples_are_kept_for_a_minute() -> None:
    """Older ones leave, and so does a request that has ended."""
    samples = Samples()
    for second in range(200):
        shown = samples.add(float(second), told(("a", 64, [[0, 2]])))

    assert len(boxes(shown.requests[0].paths["dropped"])) == KEPT + 1
    assert samples.add(200.0, told()).requests == ()


def test_a_map_is_no_finer_than_a_screen() -> None:
    """Of a long stream with holes in it, a column shows what any of its blocks is; the numbers stay exact."""
    live = [[block, block + 1] for block in range(0, 100_000, 2)]
    (request,) = Samples().add(0.0, told(("a", 3_200_000, live))).requests

    assert (request.blocks, request.pinned, request.resident, request.dropped) == (100_000, 1, 49_999, 50_000)
    assert request.width <= 240
    assert sum(len(path) for path in request.paths.values()) < 10_000


def test_only_so_many_requests_are_drawn() -> None:
    """The others are counted, and what they hold is too."""
    shown = Samples().add(0.0, told(*((f"r{n}", 32, [[0, 1]]) for n in range(30))))

    assert (len(shown.requests), shown.more, shown.held) == (24, 6, 30)


def test_a_request_that_has_no_token_yet_is_drawn() -> None:
    """With nothing in it."""
    (request,) = Samples().add(0.0, told(("a", 0, []))).requests

    assert (request.blocks, request.resident, boxes(request.paths["resident"])) == (1, 0, [])
