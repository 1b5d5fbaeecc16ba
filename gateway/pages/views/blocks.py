"""The KV blocks of a worker's requests, as a map of the last minute. Pure; knows no API and no HTML.

A map has a row for each sample, the latest on top; from left to right lie the blocks of the request's tokens.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Runs = Sequence[tuple[int, int]]

KEPT = 60.0
"""Seconds of samples."""

_MOST = 24
_COLUMNS = 240
_TOP, _ROW = 14, 3


@dataclass(frozen=True, slots=True)
class Request:
    """A running request. Of its `blocks`, `pinned` are kept for good and `resident` held beside these; the others were
    dropped. `width` and `height` are the map's; `paths` draw each kind."""

    id: str
    policy: str
    tokens: int
    blocks: int
    pinned: int
    resident: int
    width: int
    height: int
    paths: Mapping[str, str]

    @property
    def dropped(self) -> int:
        """Blocks that are no longer held."""
        return self.blocks - self.pinned - self.resident


@dataclass(frozen=True, slots=True)
class Map:
    """What a worker told: tokens per `block`, blocks of its `pool`, how many of them requests hold, a map for each of
    the first requests, and how many more there are."""

    block: int
    pool: int
    held: int
    requests: tuple[Request, ...]
    more: int


@dataclass(frozen=True, slots=True)
class _Held:
    """A request as a sample keeps it: its blocks, and the runs it held, no finer than a map can draw them."""

    blocks: int
    runs: Runs


@dataclass(slots=True)
class Samples:
    """What one worker told in the last minute, earliest first."""

    _told: deque[tuple[float, dict[str, _Held]]] = field(default_factory=deque)

    def add(self, at: float, told: Mapping[str, Any]) -> Map:
        """What it tells now, at a moment in seconds of any clock that never goes back."""
        block, running = max(told["block"], 1), told["requests"]
        first = running[:_MOST]
        self._told.append((at, {each["id"]: _coarse(each["live"], _blocks(each, block)) for each in first}))
        while self._told[0][0] < at - KEPT:
            self._told.popleft()
        sink = _sink(told["kv"], block)
        return Map(
            block,
            told["pool"],
            sum(end - start for each in running for start, end in each["live"]),
            tuple(self._request(each, sink.get(each["policy"], 0)) for each in first),
            len(running) - len(first),
        )

    def _request(self, now: Mapping[str, Any], pins: int) -> Request:
        history = [sample[now["id"]] for _, sample in reversed(self._told) if now["id"] in sample]
        extent = max(held.blocks for held in history)
        columns = min(extent, _COLUMNS)
        drawn: dict[str, list[str]] = {"dropped": [], "resident": [], "pinned": []}
        for row, held in enumerate(history):
            y, height = (0, _TOP) if row == 0 else (_TOP + 2 + _ROW * (row - 1), _ROW)
            for kind, runs in {"dropped": [(0, held.blocks)], **_parted(held.runs, pins)}.items():
                drawn[kind] += [f"M{a} {y}h{b - a}v{height}h{a - b}z" for a, b in _cells(runs, columns, extent)]
        count = {kind: sum(end - first for first, end in runs) for kind, runs in _parted(now["live"], pins).items()}
        return Request(
            id=now["id"],
            policy=now["policy"],
            tokens=now["tokens"],
            blocks=history[0].blocks,
            pinned=count["pinned"],
            resident=count["resident"],
            width=columns,
            height=_TOP + 2 + _ROW * (len(history) - 1),
            paths={kind: "".join(paths) for kind, paths in drawn.items()},
        )


def _sink(kv: Mapping[str, Any], block: int) -> dict[str, int]:
    """Blocks that the worker's own policy keeps for good; how another one is set that a request chose, nobody told."""
    tokens = kv["knobs"].get("sink")
    return {kv["policy"]: -(-tokens // block)} if isinstance(tokens, int) else {}


def _blocks(request: Mapping[str, Any], block: int) -> int:
    """Blocks that its tokens fill, or that it holds ahead of them."""
    ahead: int = max((end for _, end in request["live"]), default=0)
    tokens: int = request["tokens"]
    return max(-(-tokens // block), ahead, 1)


def _coarse(live: Runs, blocks: int) -> _Held:
    step = -(-blocks // _COLUMNS)
    return _Held(blocks, [(a * step, min(b * step, blocks)) for a, b in _cells(live, 1, step)])


def _parted(live: Runs, pins: int) -> dict[str, list[tuple[int, int]]]:
    return {
        "pinned": [(first, min(end, pins)) for first, end in live if first < pins],
        "resident": [(max(first, pins), end) for first, end in live if end > pins],
    }


def _cells(runs: Runs, columns: int, extent: int) -> list[tuple[int, int]]:
    """Runs of blocks as runs of columns: a column shows what any block of it is."""
    cells: list[tuple[int, int]] = []
    for first, end in runs:
        a, b = first * columns // extent, -(-end * columns // extent)
        if cells and a <= cells[-1][1]:
            cells[-1] = cells[-1][0], b
        else:
            cells.append((a, b))
    return cells
