"""A process of its own that gives one copied shard its graphs. Knows that directory; never the shard in use.

The engine holds Python's lock for as long as it builds, so inside the gateway a build would stop every request. Run by
path, not as a part of the package: it imports nothing of Mneme.
"""

import fcntl
import json
import os
import sys
from pathlib import Path

from qdrant_edge import EdgeShard, FacetRequest

# Only scopes of thousands get a graph: this covers tens of millions of memories.
_LARGEST = 10_000
_NICE = 10


def main(path: Path) -> None:
    """Build what is due in the shard at `path`, and leave beside its files how much of each scope that covers."""
    _end_with_parent()
    os.nice(_NICE)
    shard = EdgeShard.load(str(path))
    shard.optimize()
    covered = {str(hit.value): hit.count for hit in shard.facet(FacetRequest("scope", limit=_LARGEST, exact=True)).hits}
    shard.flush()
    shard.close()
    (path / "covered.json").write_text(json.dumps(covered))
    _sync(path)


def _sync(path: Path) -> None:
    """The engine syncs what it writes, but nobody has synced what was only copied."""
    for place in (path, *path.rglob("*")):
        descriptor = os.open(place, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _end_with_parent() -> None:
    """The system's signal for "something happened to the pipe" ends this process. Nothing is ever written into it, so
    what happens is that the parent died; no code of ours could notice, because the engine lets none run."""
    pipe = sys.stdin.fileno()
    fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
