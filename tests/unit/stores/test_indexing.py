"""Graphs for large scopes: built in a process of its own, on a copy, while the store is used; lost to no accident."""

import asyncio
import json
import logging
import os
import shutil
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from gateway.memory.records import Entry, Query, Scope, Sparse
from gateway.memory.stores.edge import EdgeStore
from tests.contracts.samples import ADA, BOB, memory
from tests.support.gateway import ROOT

DIMENSION, LARGE, CLUSTERS = 16, 4_200, 60
PATIENCE = 60
CANARY = "tweetytweety"
TIDY = ["closed.json", "lock", "shard", "stamp.json"]
CHILD = """
import asyncio, sys
from pathlib import Path
from tests.unit.stores.test_indexing import ADA, drawn, entries, question
from tests.unit.stores.test_indexing import opened

async def main():
    async with opened(Path(sys.argv[1])) as store:
        await store.search(ADA, question(0), 10)
        await store.put(entries([f"late {i}" for i in range(20)]))
        print("written", flush=True)
        await asyncio.sleep(3600)

asyncio.run(main())
"""


def drawn(number: int, seed: int) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
    """Unit vectors around a few centres, which are the same for every seed."""
    centres = np.random.default_rng(0).standard_normal((CLUSTERS, DIMENSION))
    own = np.random.default_rng(seed)
    rows = centres[own.integers(0, CLUSTERS, number)] + 0.4 * own.standard_normal((number, DIMENSION))
    unit: np.ndarray[tuple[int, int], np.dtype[np.float64]] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def entries(ids: list[str], scope: Scope = ADA, text: str = "", seed: int = 1) -> list[Entry]:
    """Memories without terms."""
    made = []
    for id, row in zip(ids, drawn(len(ids), seed).tolist(), strict=True):
        fields = {"text": text} if text else {}
        made.append(Entry(memory(id, scope, **fields), {"turn": row, "near": row}, {}))
    return made


def question(number: int) -> Query:
    """Near one of the centres."""
    return Query(drawn(50, seed=2)[number].tolist(), Sparse((), ()))


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[EdgeStore]:
    """The store in `path`."""
    async with EdgeStore.open(path, embedder_identity="test", dimension=DIMENSION) as store:
        yield store


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed store with a scope that is too large to be scanned, and no graph."""
    path = tmp_path_factory.mktemp("filled") / "memories"

    async def fill() -> None:
        async with opened(path) as store:
            made = entries([f"{i}" for i in range(LARGE)])
            for at in range(0, LARGE, 300):
                await store.put(made[at : at + 300])

    asyncio.run(fill())
    return path


@pytest.fixture(scope="session")
def built(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, closed after its graph was built."""
    path = tmp_path_factory.mktemp("built") / "memories"
    shutil.copytree(filled, path)

    async def build() -> None:
        async with opened(path) as store:
            await store.search(ADA, question(0), 10)
            await store.settled()

    asyncio.run(build())
    return path


@pytest.fixture
def covered(built: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(built, tmp_path / "covered")
    return tmp_path / "covered"


@pytest.fixture
def path(filled: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of it. In the end no builder may be left."""
    shutil.copytree(filled, tmp_path / "memories")
    yield tmp_path / "memories"
    assert not builders(tmp_path)


def builders(path: Path) -> list[int]:
    """Ids of processes that build a graph somewhere below."""
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = line.read_bytes().split(b"\0")
        except OSError:  # it has ended since
            continue
        if any(str(path).encode() in word and b"/graph-" in word for word in words):
            found.append(int(line.parent.name))
    return found


def names(path: Path) -> list[str]:
    """What lies in the directory."""
    return sorted(file.name for file in path.iterdir())


def half_made(path: Path) -> list[str]:
    """Copies of the shard."""
    return [name for name in names(path) if name.startswith("graph-")]


def that_hold(path: Path, word: str) -> list[str]:
    """The files with the word in them."""
    return [file.name for file in path.rglob("*") if file.is_file() and word.encode() in file.read_bytes()]


async def until_building(path: Path) -> int:
    """The id of the builder, once there is one."""
    async with asyncio.timeout(PATIENCE):
        while not (found := builders(path)):
            await asyncio.sleep(0.01)
    return found[0]


def test_a_large_scope_gets_a_graph(built: Path) -> None:
    """Of all it holds, and of nothing besides the store's files anything is left."""
    covered = json.loads((built / "shard" / "covered.json").read_text())
    assert [*covered.values()] == [LARGE]
    assert names(built) == TIDY


async def test_the_graph_finds_what_a_scan_finds(covered: Path) -> None:
    """At least 95 of 100 of the truly nearest."""
    rows = drawn(LARGE, seed=1)
    shares = []
    async with opened(covered) as store:
        for number in range(50):
            asked = question(number)
            nearest = {str(i) for i in np.argsort(rows @ asked.dense)[-60:]}
            found = await store.search(ADA, asked, 60)
            shares.append(len(nearest & {one.memory.id for one in found}) / 60)

    assert sum(shares) / len(shares) >= 0.95


async def test_what_is_written_during_a_build_is_kept(path: Path) -> None:
    """New, changed and deleted memories, now and after the next start."""
    async with opened(path) as store:
        await store.search(ADA, question(0), 10)
        await until_building(path)
        await store.put(entries(["new"]))
        await store.put(entries([f"{i}" for i in range(100)], text="changed"))
        await store.delete(ADA, ["200", "201"])
        await store.settled()
        assert await store.count(ADA) == LARGE - 1
        await store.put(entries(["newer"]))

    async with opened(path) as store:
        assert await store.count(ADA) == LARGE
        assert [m.id for m in await store.get(ADA, ["new", "newer", "200", "201"])] == ["new", "newer"]
        assert {m.text for m in await store.get(ADA, [f"{i}" for i in range(101)])} == {"changed", "text of 100"}


async def test_a_covered_scope_is_left_alone(covered: Path) -> None:
    """Until thousands have been added."""
    async with opened(covered) as store:
        await store.put(entries([f"few {i}" for i in range(300)]))
        await store.search(ADA, question(0), 10)
        await store.settled()
        assert not (covered / "live").exists()


@pytest.mark.slow
async def test_a_scope_that_was_written_anew_is_covered_anew(covered: Path) -> None:
    """It is no larger than before, but nothing of it is in the graph any more; a new start does not hide that."""
    async with opened(covered) as store:
        for at in range(0, LARGE, 300):
            await store.put(entries([f"{i}" for i in range(at, at + 300)], seed=at))

    async with opened(covered) as store:
        await store.search(ADA, question(0), 10)
        await store.settled()
        assert (covered / "live").exists()


async def test_a_builder_that_dies_leaves_the_store_as_it_was(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It says so in the log, and does not begin again at once."""
    async with opened(path) as store:
        await store.search(ADA, question(0), 10)
        os.kill(await until_building(path), signal.SIGKILL)
        with caplog.at_level(logging.WARNING):
            await store.settled()
        assert "without a graph" in caplog.text
        assert len(await store.search(ADA, question(0), 10)) == 10
        assert not builders(path)
        assert not half_made(path)


async def test_closing_waits_for_no_build(path: Path) -> None:
    """And leaves nothing of it."""
    async with opened(path) as store:
        await store.search(ADA, question(0), 10)
        await until_building(path)

    assert not half_made(path)
    assert not (path / "shard" / "covered.json").exists()


async def test_forgetting_during_a_build_leaves_no_byte(path: Path) -> None:
    """Neither in the shard nor in the copy of it; the build begins anew with the next question."""
    async with opened(path) as store:
        await store.put(entries([f"b{i}" for i in range(5)], BOB, CANARY * 20))
        await store.search(ADA, question(0), 10)
        await until_building(path)
        await store.forget(BOB)
        holding = that_hold(path, CANARY)
        await store.search(ADA, question(0), 10)
        await store.settled()
        assert holding == []
        assert (path / "live").exists()


@pytest.mark.slow
async def test_a_kill_during_a_build_loses_nothing(path: Path) -> None:
    """Nor does the builder outlive the process that wanted it."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, path, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    try:
        await child.stdout.readline()
        await until_building(path)
    finally:
        child.kill()
        await child.communicate()
    async with asyncio.timeout(PATIENCE):
        while builders(path):
            await asyncio.sleep(0.01)

    async with opened(path) as store:
        assert await store.count(ADA) == LARGE + 20
        assert not half_made(path)


@pytest.mark.parametrize("left", ["live graph shard", "live graph", "live shard", "graph shard"])
async def test_a_change_over_cut_by_a_crash_is_mended(path: Path, left: str) -> None:
    """Whatever state it leaves the directory in, what was in use is there, and nothing else."""
    graph = path / f"graph-{uuid.uuid4().hex[:8]}"
    shutil.copytree(path / "shard", graph)
    if left == "graph shard":  # it never was in use
        shutil.rmtree(graph / "segments")
    elif "shard" in left and "graph" in left:  # it is no longer in use
        shutil.rmtree(path / "shard" / "segments")
    for name, place in (("shard", path / "shard"), ("graph", graph)):
        if name not in left:
            shutil.rmtree(place)
    if "live" in left:
        (path / "live").write_text(graph.name)

    async with opened(path) as store:
        assert await store.count(ADA) == LARGE
    assert names(path) == TIDY
