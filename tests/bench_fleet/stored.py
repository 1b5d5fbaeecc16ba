"""What Qdrant's engine holds of a memory, on disk and in RAM. The collection is laid out by Mneme's own store, filled
over the wire, and then optimized as a server would do it by itself.
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from gateway.evals.speed.made import Maker, stock
from gateway.memory.embedders.minilm import MiniLM
from gateway.memory.ports import Source
from gateway.memory.stores.qdrant import Layout
from tests.bench.targets import ROOT
from tests.support.qdrant import store_on
from tests.support.qdrant_server import Node, serving

SMALL, EACH = 10_000, 100
"""Memories, and of each user; and again twice as many: what any collection takes falls out of the difference."""
LARGE = 8_000
"""Memories of a single user: more than are scanned, so they get links."""
_MODELS = ROOT / "build" / "test-models"
_BLOCK = 512


async def stored(folder: Path, say: Callable[[str], None]) -> list[tuple[str, str, float]]:
    """Keys, names and bytes per memory."""
    said = stock(2 * SMALL, 1)
    async with MiniLM.open(Source(_MODELS, "", "", "")) as embedder:
        vectors = await embedder.embed(said)
        sizes = {}
        for what, number, users in (
            ("one", SMALL, SMALL // EACH),
            ("two", 2 * SMALL, 2 * SMALL // EACH),
            ("large", LARGE, 1),
        ):
            say(f"{number:,} memories of {users} users into the engine …")
            maker = Maker.of(said, vectors, users, 1)
            sizes[what] = await _held(folder / what, maker, number, embedder.dimension)
        text = sum(len(entry.memory.text.encode()) for block in maker.make(SMALL) for entry in block) / SMALL
    return [(key, what.format(text=text), size) for key, what, size in _rows(sizes)]


def _rows(sizes: dict[str, dict[str, float]]) -> list[tuple[str, str, float]]:
    one, two, large = sizes["one"], sizes["two"], sizes["large"]

    def each(name: str) -> float:
        return (two[name] - one[name]) / SMALL

    return [
        ("dense", "Qdrant, disk: dense vectors, both", two["optimized dense"] / (2 * SMALL)),
        ("sparse", "Qdrant, disk: sparse vectors, both", each("fresh sparse")),
        ("words", "Qdrant, disk: index of sparse vectors, both", two["optimized words"] / (2 * SMALL)),
        ("payload", "Qdrant, disk: payload, with a text of {text:.0f} bytes", each("fresh payload")),
        ("fields", "Qdrant, disk: indexes of payload", each("optimized fields")),
        ("links", "Qdrant, disk: links of vectors, both, small scopes", two["optimized links"] / (2 * SMALL)),
        ("", "Qdrant, disk: links of vectors, both, a large scope", large["optimized links"] / LARGE),
        ("allocated", "Qdrant, RAM: allocated by the engine, files not counted", each("allocated")),
    ]


async def _held(path: Path, maker: Maker, number: int, dimension: int) -> dict[str, float]:
    """Bytes by kind, before and after optimizing, and what the engine allocates when it opens them again."""
    async with serving(Node(path)) as port, store_on(port, dimension=dimension) as store:
        for block in maker.make(number):
            await store.put(block)
    shard = path / Layout().collection / "shard"
    fresh = await asyncio.to_thread(_files, shard)
    for what in ("optimize", "weigh"):
        allocated = await _in_a_child(what, shard)
    optimized = await asyncio.to_thread(_files, shard)
    named = {"fresh": fresh, "optimized": optimized}
    found = {f"{when} {kind}": float(files[kind]) for when, files in named.items() for kind in (*_PARTS, "rest")}
    return {**found, "allocated": allocated}


_PARTS = {
    "dense": "vector_storage-dense",
    "sparse": "vector_storage-bm25",
    "links": "vector_index-dense",
    "words": "vector_index-bm25",
    "payload": "payload_storage",
    "fields": "payload_index",
    "log": "wal",
}


def _files(shard: Path) -> Counter[str]:
    """What they take of the disk, holes left out."""
    sizes: Counter[str] = Counter()
    for file in shard.rglob("*"):
        if file.is_file():
            place = str(file.relative_to(shard))
            kind = next((kind for kind, mark in _PARTS.items() if mark in place), "rest")
            sizes[kind] += file.stat().st_blocks * _BLOCK
    return sizes


async def _in_a_child(what: str, shard: Path) -> float:
    """In a process of its own, whose memory holds nothing else; what it says."""
    command = (sys.executable, "-m", "tests.bench_fleet.stored", what, str(shard))
    child = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    told, _ = await child.communicate()
    return float(json.loads(told))


def _optimize(shard: Path) -> float:
    import qdrant_edge

    opened = qdrant_edge.EdgeShard.load(str(shard))
    while opened.optimize():
        continue
    opened.flush()
    opened.close()
    return 0.0


def _weigh(shard: Path) -> float:
    import qdrant_edge

    before = _anonymous()
    opened = qdrant_edge.EdgeShard.load(str(shard))
    after = _anonymous()
    opened.close()
    return after - before


def _anonymous() -> float:
    """Bytes of this process's RAM that no file stands behind."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) * 1024


if __name__ == "__main__":
    print({"optimize": _optimize, "weigh": _weigh}[sys.argv[1]](Path(sys.argv[2])))
