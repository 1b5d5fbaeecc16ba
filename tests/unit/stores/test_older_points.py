"""Points that were written before trust was one of their fields, in both engines: found, and counted, all the same."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from qdrant_edge import EdgeShard, UpdateOperation

from gateway.memory.filters import Filter
from gateway.memory.ports import MemoryStore
from gateway.memory.records import Trust
from gateway.memory.stores.edge import EdgeStore
from gateway.memory.stores.points import point_id
from gateway.memory.stores.qdrant import Server, connect
from gateway.memory.stores.qdrant.points import to_point
from tests.contracts.samples import ADA, DIMENSION, entry, memory
from tests.support.qdrant import store_on
from tests.support.qdrant_server import Node, serving

OLD = [entry(memory(f"old {trust}", trust=trust, pinned=True)) for trust in ("user", "operator", "assistant")]
NEW = [entry(memory(f"new {trust}", trust=trust)) for trust in ("user", "operator")]


@asynccontextmanager
async def older_edge(path: Path) -> AsyncIterator[MemoryStore]:
    """A directory as it was, with neither the field nor its index."""
    async with EdgeStore.open(path, embedder_identity="test", dimension=DIMENSION) as store:
        await store.put(OLD)
    shard = EdgeShard.load(str(path / "shard"))
    ids: list[Any] = [point_id(ADA, each.memory.id) for each in OLD]
    shard.update(UpdateOperation.delete_payload(ids, ["trust"]))
    shard.update(UpdateOperation.delete_field_index("trust"))
    shard.close()
    async with EdgeStore.open(path, embedder_identity="test", dimension=DIMENSION) as store:
        yield store


@asynccontextmanager
async def older_qdrant(path: Path) -> AsyncIterator[MemoryStore]:
    """A server that an older gateway writes to, too."""
    async with serving(Node(path)) as port, store_on(port, dimension=DIMENSION) as store:
        points = [to_point(each) for each in OLD]
        for point in points:
            point.payload = {name: value for name, value in (point.payload or {}).items() if name != "trust"}
        beside = connect(Server("http://127.0.0.1", grpc_port=port)).client
        await beside.upsert("mneme", points)
        await beside.close()
        yield store


@pytest.mark.parametrize("older", [older_edge, older_qdrant])
async def test_what_does_not_tell_its_trust_is_asked_itself(tmp_path: Path, older: Any) -> None:
    """In lists of both orders and in counts, beside what tells it, and with other filters."""
    trusts: tuple[Trust, ...] = ("user", "operator", "assistant")
    async with older(tmp_path / "memories") as store:
        await store.put(NEW)
        for trust in trusts:
            wanted = {e.memory.id for e in (*OLD, *NEW) if e.memory.trust == trust}
            for latest in (False, True):
                page = await store.browse(ADA, Filter(trust=trust), latest=latest)
                assert {m.id for m in page.items} == wanted
            assert await store.count(ADA, Filter(trust=trust)) == len(wanted)
            assert await store.count(ADA, Filter(trust=trust, pinned=True)) == 1


async def test_a_field_that_has_come_since_is_indexed_when_the_shard_is_opened(tmp_path: Path) -> None:
    """Or every filter by it would read every memory."""
    async with older_edge(tmp_path / "memories"):
        pass
    shard = EdgeShard.load(str(tmp_path / "memories" / "shard"))
    there = {*shard.info().payload_schema}
    shard.close()

    assert "trust" in there
