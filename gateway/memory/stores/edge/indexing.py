"""Gives large scopes their graphs while the store is in use: copy, build in another process, catch up, change over.

Knows the shard's files and the store's write thread; never what a memory says. No request waits for any of it, except
for the moment in which the new files are opened.
"""

import json
import logging
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qdrant_edge import CountRequest, EdgeShard, Point, UpdateOperation

from gateway.errors import MemoryUnavailable
from gateway.memory.stores.edge import shard as disk

log = logging.getLogger(__name__)

# So many of a scope's memories may lie outside its graph, and be scanned, before it is built anew.
_OUTSIDE = disk.SCANNED
# Of what was written meanwhile, so much is copied at once: other writes come in between.
_PORTION = 64
_BUILDER = Path(__file__).with_name("graph.py")
_COVERED = "covered.json"  # the builder writes it

Write = Callable[[Callable[[EdgeShard], Any]], "Future[Any]"]
Replace = Callable[[Callable[[], EdgeShard]], None]


@dataclass
class _Build:
    """One build. Only the write thread looks at `touched`, the points written since the copy was made, and decides that
    it is `over`: in use, or discarded."""

    copy: Path
    child: subprocess.Popen[bytes]
    fresh: EdgeShard | None = None
    touched: set[str] = field(default_factory=set)
    over: bool = False


class Indexing:
    """At most one build at a time. `write` gives a job its turn on the store's write thread; `replace`, called there,
    closes the shard in use and puts the one in its place that the call given opens."""

    def __init__(self, path: Path, write: Write, replace: Replace) -> None:
        self._path = path
        self._write = write
        self._replace = replace
        self._lock = threading.Lock()
        self._covered = _covered(disk.live(path))
        self._written = 0
        self._build: _Build | None = None
        self._running: Future[None] | None = None
        self._closing = False
        self._thread = ThreadPoolExecutor(1, "edge-graph")

    def asked(self, shard: EdgeShard, scope: str, held: int) -> None:
        """A scope of `held` memories was searched: if too many of them are outside its graph, a build begins."""
        if held <= disk.SCANNED:
            return
        with self._lock:
            if self._running is not None and not self._running.done():
                return
            if held - self._covered.get(scope, 0) <= _OUTSIDE:
                return
            self._covered[scope] = held  # should the build fail, it is tried again when there is more
            self._running = self._thread.submit(self._work)

    def touched(self, ids: Iterable[str]) -> None:
        """These points are about to be written. On the write thread."""
        points = {*ids}
        if self._build is not None:
            self._build.touched |= points
        # What is written again leaves the graph, and its scope is no larger for it; nobody counts whose it was.
        self._written += len(points)
        if self._written > max(_OUTSIDE, sum(self._covered.values()) // 2):
            self._uncover()

    def abandon(self) -> None:
        """The shard is about to be written anew: nothing may be left of a copy, nor of a graph. On the write thread."""
        self._uncover()
        self._stop()

    def wait(self) -> None:
        """Until the build that is under way, if any, has ended."""
        if self._running is not None:
            self._running.result()

    def close(self) -> None:
        """End, also a build. The write thread must still be running."""
        self._closing = True
        self._write(lambda _: self._stop()).result()
        self._thread.shutdown()

    def _work(self) -> None:
        try:
            disk.named(self._make)
        except MemoryUnavailable as failed:  # the scope is scanned, as it was
            log.warning("a large user's memories stay without a graph for now: %s", failed.message)

    def _make(self) -> None:
        build: _Build | None = self._write(self._begin).result()
        if build is None:
            return
        with build.child:
            try:
                status = build.child.wait()
                if status and not build.over:
                    raise MemoryUnavailable(f"The process that builds graphs ended with status {status}.")
                while not self._write(lambda shard: self._catch_up(build, shard)).result():
                    pass
            finally:
                self._write(lambda _: self._discard(build)).result()

    def _begin(self, shard: EdgeShard) -> _Build | None:
        if self._closing:
            return None
        copy = disk.copy_whole(self._path, shard)
        try:
            child = subprocess.Popen([sys.executable, "-P", _BUILDER, copy], stdin=subprocess.PIPE)  # noqa: S603  # our own
        except OSError:
            shutil.rmtree(copy, ignore_errors=True)
            raise
        self._build = _Build(copy, child)
        return self._build

    def _catch_up(self, build: _Build, shard: EdgeShard) -> bool:
        """Copy some of what was written meanwhile; when that was all, change over. Whether there is no more to do."""
        if build.over:
            return True
        if build.fresh is None:
            build.fresh = EdgeShard.load(str(build.copy))
        _carry(shard, build.fresh, [build.touched.pop() for _ in range(min(_PORTION, len(build.touched)))])
        if not build.touched:
            self._change_over(build, shard, build.fresh)
        return build.over

    def _change_over(self, build: _Build, shard: EdgeShard, fresh: EdgeShard) -> None:
        held, copied = (one.count(CountRequest(exact=True)) for one in (shard, fresh))
        if held != copied:
            raise MemoryUnavailable(f"The copy with the graph holds {copied} of {held} memories.")
        fresh.flush()
        former = disk.live(self._path)
        disk.make_live(self._path, build.copy)
        build.over, self._build = True, None
        self._replace(lambda: fresh)
        self._covered, self._written = _covered(build.copy), 0
        shutil.rmtree(former, ignore_errors=True)

    def _uncover(self) -> None:
        """Also after the next start, the graphs count for nothing: the next question has them built anew."""
        (disk.live(self._path) / _COVERED).unlink(missing_ok=True)
        self._covered, self._written = {}, 0

    def _stop(self) -> None:
        if self._build is not None:
            self._discard(self._build)

    def _discard(self, build: _Build) -> None:
        if build.over:
            return
        build.over, self._build = True, None
        build.child.kill()
        build.child.wait()
        if build.fresh is not None:
            build.fresh.close()
        shutil.rmtree(build.copy, ignore_errors=True)


def _carry(shard: EdgeShard, fresh: EdgeShard, ids: list[str]) -> None:
    """These points, as they now are in the one, into the other."""
    found = shard.retrieve([*ids], with_payload=True, with_vector=True)
    points = [Point(record.id, record.vector or {}, record.payload) for record in found]
    fresh.update(UpdateOperation.upsert_points(points))
    fresh.update(UpdateOperation.delete_points([*{*ids} - {str(record.id) for record in found}]))


def _covered(shard: Path) -> dict[str, int]:
    """How many memories of each large scope the graphs of these files cover."""
    try:
        found: dict[str, int] = json.loads((shard / _COVERED).read_text())
    except (FileNotFoundError, ValueError):  # there are none, or nobody can tell
        return {}
    return found
