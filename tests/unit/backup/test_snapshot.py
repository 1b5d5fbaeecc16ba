"""A snapshot is there whole, under its name, or not at all."""

import asyncio
import shutil
from pathlib import Path

import pytest

from gateway.backup.snapshot import Copy, Snapshots
from gateway.errors import Conflict, MemoryUnavailable


def copying(data: Path, name: str, held: int, done: list[str]) -> Copy:
    """Copies a file of `data`, and says so."""

    async def copy(path: Path) -> int:
        done.append(name)
        shutil.copy2(data / name, path)
        return held

    return copy


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory of two stores and a secret."""
    for name in ("journal", "memories", "secret"):
        (tmp_path / name).write_text(f"what is in {name}")
    return tmp_path


def listed(data: Path) -> list[str]:
    """What is below `snapshots`, whole or not."""
    return [path.name for path in (data / "snapshots").iterdir()]


async def test_it_is_a_directory_of_copies(data: Path) -> None:
    """In the order given; what never changes is with them, if there is such a thing."""
    done: list[str] = []
    copies = {name: copying(data, name, held, done) for name, held in (("journal", 3), ("memories", 2))}
    told = await Snapshots(data, copies, ("secret", "not there"))()

    assert done == ["journal", "memories"]
    assert told.held == {"journal": 3, "memories": 2}
    assert (Path(told.path) / "secret").read_text() == "what is in secret"
    assert listed(data) == [Path(told.path).name]
    assert told.bytes == sum(len(f"what is in {name}") for name in ("journal", "memories", "secret"))


async def test_names_are_moments_in_their_order(data: Path) -> None:
    """In UTC, and none is taken twice."""
    take = Snapshots(data, {"journal": copying(data, "journal", 0, [])}, ())
    names = [Path((await take()).path).name for _ in range(5)]

    assert names == sorted({*names})
    assert all(name.endswith("Z") for name in names)


@pytest.mark.parametrize("failed", [MemoryUnavailable("away"), asyncio.CancelledError()])
async def test_one_that_fails_leaves_nothing(data: Path, failed: BaseException) -> None:
    """And the next one is taken as if nothing had been."""
    failing = [failed]

    async def copy(path: Path) -> int:
        shutil.copy2(data / "journal", path)
        while failing:
            raise failing.pop()
        return 1

    take = Snapshots(data, {"journal": copy}, ())
    with pytest.raises(type(failed)):
        await take()
    assert listed(data) == []

    assert (await take()).held == {"journal": 1}


async def test_what_a_killed_process_left_is_removed(data: Path) -> None:
    """It has no name that a snapshot has; whole ones stay."""
    for name in ("20260504T000000.000000Z", "20260504T000001.000000Z.part"):
        (data / "snapshots" / name).mkdir(parents=True)
    told = await Snapshots(data, {"journal": copying(data, "journal", 0, [])}, ())()

    assert sorted(listed(data)) == ["20260504T000000.000000Z", Path(told.path).name]


async def test_one_is_taken_at_a_time(data: Path) -> None:
    """Whoever comes meanwhile is told so."""
    gate = asyncio.Event()

    async def copy(path: Path) -> int:
        shutil.copy2(data / "journal", path)
        await gate.wait()
        return 1

    take = Snapshots(data, {"journal": copy}, ())
    first = asyncio.create_task(take())
    while not (data / "snapshots").exists():
        await asyncio.sleep(0.01)
    with pytest.raises(Conflict):
        await take()
    gate.set()

    assert (await first).held == {"journal": 1}


async def test_a_disk_without_room_is_told(data: Path) -> None:
    """Before anything is copied: a full disk would stop the stores."""
    done: list[str] = []
    with (data / "memories").open("wb") as sparse:
        sparse.truncate(1 << 50)
    with pytest.raises(MemoryUnavailable, match="too little"):
        await Snapshots(data, {"memories": copying(data, "memories", 0, done)}, ())()

    assert (done, listed(data)) == ([], [])


async def test_a_disk_that_cannot_be_written_is_told(data: Path) -> None:
    """By the name that all else which fails has."""
    (data / "snapshots").write_text("in the way")
    with pytest.raises(MemoryUnavailable, match="cannot be written"):
        await Snapshots(data, {}, ())()
