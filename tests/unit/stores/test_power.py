"""What the memory store has on disk, should the power fail."""

import shutil
from pathlib import Path

import pytest

from gateway.memory.stores.edge import EdgeStore
from tests.contracts.samples import ADA, DIMENSION, entry, memory


@pytest.mark.parametrize(("durability", "found"), [("process", []), ("power", ["m"])])
async def test_power_means_synced_before_it_is_called_done(durability: str, found: list[str], tmp_path: Path) -> None:
    """The segments hold what was put even where the engine's own log is lost; `process` leaves that to the system."""
    kept, left = tmp_path / "kept", tmp_path / "left"
    async with EdgeStore.open(kept, embedder_identity="e", dimension=DIMENSION, durability=durability) as store:
        await store.put([entry(memory("m"))])
        shutil.copytree(kept, left)
    for log in (left / "shard" / "wal").iterdir():
        log.unlink()

    async with EdgeStore.open(left, embedder_identity="e", dimension=DIMENSION) as store:
        assert [m.id for m in await store.get(ADA, ["m"])] == found
