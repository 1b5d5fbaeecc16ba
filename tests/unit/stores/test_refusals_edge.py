"""A memory directory that another embedder filled, or that is damaged or half rewritten: refused, or mended."""

import json
import os
import shutil
from pathlib import Path

import pytest

from gateway.errors import DataDirectoryRefused
from gateway.memory.stores.edge import EdgeStore
from tests.contracts.samples import ADA, BOB, DIMENSION, entry, memory, query, vector


async def edge_refusal(path: Path, *, identity: str = "test", dimension: int = DIMENSION) -> str:
    """Why the memory store is refused."""
    with pytest.raises(DataDirectoryRefused) as refused:
        async with EdgeStore.open(path, embedder_identity=identity, dimension=dimension):
            pass
    return refused.value.message


async def fill(path: Path) -> None:
    """Two users' memories, cleanly closed."""
    async with EdgeStore.open(path, embedder_identity="test", dimension=DIMENSION) as store:
        await store.put([entry(memory(f"m{n}", scope), words="ab") for n in range(20) for scope in (ADA, BOB)])


async def held(path: Path) -> tuple[int, int]:
    """What opens: Ada's and Bob's counts, found by every signal."""
    async with EdgeStore.open(path, embedder_identity="test", dimension=DIMENSION) as store:
        found = await store.search(BOB, query(vector(1), "a"), 100)
        assert all(len(candidate.signals) == 4 for candidate in found)
        return await store.count(ADA), len(found)


async def test_a_store_in_use_is_refused_within_the_process(tmp_path: Path) -> None:
    """A second opening of the memory store."""
    async with EdgeStore.open(tmp_path, embedder_identity="test", dimension=DIMENSION):
        assert "in use" in await edge_refusal(tmp_path)


@pytest.mark.parametrize("stamp", ["", "{", "[]", "null", '"x"', "\udc80"])
async def test_a_damaged_stamp_is_refused(tmp_path: Path, stamp: str) -> None:
    """Whatever stands in it."""
    await fill(tmp_path)
    (tmp_path / "stamp.json").write_bytes(stamp.encode("utf-8", "surrogateescape"))

    assert "damaged" in await edge_refusal(tmp_path)


async def test_a_shard_without_stamp_is_refused(tmp_path: Path) -> None:
    """Nobody knows which embedder filled it."""
    await fill(tmp_path)
    (tmp_path / "stamp.json").unlink()

    assert "no stamp" in await edge_refusal(tmp_path)


async def test_another_embedder_is_refused(tmp_path: Path) -> None:
    """By its name or by its dimension; the message has both and the way out."""
    await fill(tmp_path)

    assert "MNEME_NEXT_EMBEDDER" in await edge_refusal(tmp_path, identity="other")
    assert "(9 dimensions)" in await edge_refusal(tmp_path, dimension=9)
    assert await held(tmp_path) == (20, 20)


async def test_another_format_is_refused(tmp_path: Path) -> None:
    """A format of another version is not called another embedder."""
    await fill(tmp_path)
    stamp = json.loads((tmp_path / "stamp.json").read_text())
    (tmp_path / "stamp.json").write_text(json.dumps({**stamp, "format": 99}))

    assert "format 99" in await edge_refusal(tmp_path)


@pytest.mark.parametrize(
    "file,content",
    [
        ("edge_config.json", b"{"),
        ("segment.json", b""),
        ("first-index", b"\xff" * 16),
        ("vectors/status.dat", b"\0"),  # the engine panics
    ],
)
async def test_a_damaged_shard_is_refused(tmp_path: Path, file: str, content: bytes) -> None:
    """With advice, whatever way the engine takes it."""
    await fill(tmp_path)
    next((tmp_path / "shard").glob(f"**/{file}")).write_bytes(content)

    message = await edge_refusal(tmp_path)
    assert str(tmp_path) in message
    assert "Restore" in message


@pytest.mark.parametrize("file", ["mutable_id_tracker.mappings", "mutable_id_tracker.versions", "open-*"])
async def test_a_shard_cut_short_is_refused_or_whole(tmp_path: Path, file: str) -> None:
    """Where the engine mends it, nothing may be missing; it does not say so when something is."""
    await fill(tmp_path)
    await held(tmp_path)
    path = next((tmp_path / "shard").glob(f"**/{file}"))
    os.truncate(path, path.stat().st_size // 2)

    try:
        assert await held(tmp_path) == (20, 20)
    except DataDirectoryRefused as refused:
        assert "Restore" in refused.message


@pytest.mark.parametrize(
    "left", ["shard", "shard new", "shard old", "shard old new", "old", "old new"], ids=lambda left: left
)
async def test_a_rewrite_cut_by_a_crash_is_mended(tmp_path: Path, left: str) -> None:
    """In every state that it can leave the directory in, everything that was there is there."""
    await fill(tmp_path)
    whole = tmp_path / "shard"
    for name in left.split():
        if name != "shard":
            shutil.copytree(whole, tmp_path / f"shard.{name}")
    if "new" in left:
        shutil.rmtree(tmp_path / "shard.new" / "segments")
    if "shard" not in left:
        shutil.rmtree(whole)

    assert await held(tmp_path) == (20, 20)
    assert not (tmp_path / "shard.new").exists()
    assert not (tmp_path / "shard.old").exists()


async def test_a_first_start_cut_by_a_crash_is_mended(tmp_path: Path) -> None:
    """A shard that was being made is made anew."""
    await fill(tmp_path)
    (tmp_path / "shard").rename(tmp_path / "shard.new")
    (tmp_path / "closed.json").unlink()
    shutil.rmtree(tmp_path / "shard.new" / "segments")

    assert await held(tmp_path) == (0, 0)


async def test_a_shard_that_is_gone_is_refused(tmp_path: Path) -> None:
    """An empty memory in place of a full one would look like a loss."""
    await fill(tmp_path)
    shutil.rmtree(tmp_path / "shard")

    assert "0 of 40" in await edge_refusal(tmp_path)


async def test_a_refused_directory_is_free_again(tmp_path: Path) -> None:
    """A refusal keeps no lock."""
    await fill(tmp_path)
    await edge_refusal(tmp_path, identity="other")

    assert await held(tmp_path) == (20, 20)
