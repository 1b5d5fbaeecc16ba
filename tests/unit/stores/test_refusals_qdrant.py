"""A collection that is not ours, that another embedder filled, or that a start left half made: refused, or mended."""

import asyncio
from pathlib import Path

import pytest
from qdrant_client import grpc as wire

from gateway.errors import DataDirectoryRefused
from gateway.memory.stores.qdrant import Layout
from tests.contracts.samples import ADA, DIMENSION, entry, memory
from tests.support.qdrant import store_on
from tests.support.qdrant_server import Node, serving


async def refusal(port: int, *, identity: str = "test", dimension: int = DIMENSION) -> str:
    """Why the store is refused."""
    with pytest.raises(DataDirectoryRefused) as refused:
        async with store_on(port, identity=identity, dimension=dimension):
            pass
    return refused.value.message


async def fill(port: int) -> None:
    """One memory."""
    async with store_on(port, dimension=DIMENSION) as store:
        await store.put([entry(memory("m"))])


async def test_another_embedder_is_refused(tmp_path: Path) -> None:
    """By its name or by its dimension; the message has both and the way out."""
    async with serving(Node(tmp_path)) as port:
        await fill(port)

        assert "MNEME_NEXT_EMBEDDER" in await refusal(port, identity="other")
        assert "(9 dimensions)" in await refusal(port, dimension=9)
        async with store_on(port, dimension=DIMENSION) as store:
            assert await store.count(ADA) == 1


async def test_another_format_is_refused(tmp_path: Path) -> None:
    """A format of another version is not called another embedder."""
    node = Node(tmp_path)
    async with serving(node) as port:
        await fill(port)
        node.held("mneme").made.metadata["format"].integer_value = 99

        assert "format 99" in await refusal(port)


async def test_a_collection_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """Nothing is written into it."""
    node = Node(tmp_path)
    async with serving(node) as port:
        await fill(port)
        node.held("mneme").made.metadata.clear()
        node.held("mneme").indexes.clear()

        assert "not Mneme's" in await refusal(port)
        assert not node.held("mneme").indexes


@pytest.mark.parametrize("version", ["1.18.3", "0.11.0", "", "unknown"])
async def test_an_old_server_is_refused(tmp_path: Path, version: str) -> None:
    """It would weigh words by what everybody says, and not say so."""
    async with serving(Node(tmp_path, version=version)) as port:
        assert "1.19" in await refusal(port)


@pytest.mark.parametrize("version", ["1.19.0", "v1.20.1", "1.21.0-dev", "2.0.0"])
async def test_a_newer_server_is_taken(tmp_path: Path, version: str) -> None:
    """However it writes its version."""
    async with serving(Node(tmp_path, version=version)) as port:
        await fill(port)


async def test_a_start_cut_by_a_crash_is_finished(tmp_path: Path) -> None:
    """Indexes that are missing are made at the next start, and no others."""
    node = Node(tmp_path)
    async with serving(node) as port:
        await fill(port)
        made = {*node.held("mneme").indexes}
        del node.held("mneme").indexes["seq"]
        node.asked.clear()
        await fill(port)

        assert {*node.held("mneme").indexes} == made
        assert [request.field_name for name, request in node.asked if name == "CreateFieldIndex"] == ["seq"]


@pytest.mark.parametrize("layout", [Layout(), Layout(tenant_shards=True)], ids=["one", "tenants"])
async def test_many_may_start_at_once(tmp_path: Path, layout: Layout) -> None:
    """One makes the collection, all use it."""
    async with serving(Node(tmp_path)) as port:

        async def start(number: int) -> None:
            async with store_on(port, layout, dimension=DIMENSION) as store:
                await store.put([entry(memory(str(number)))])

        await asyncio.gather(*map(start, range(5)))
        async with store_on(port, layout, dimension=DIMENSION) as store:
            assert await store.count(ADA) == 5


async def test_the_collection_is_made_for_many_users(tmp_path: Path) -> None:
    """Copies as asked for; links only within a scope, which lies side by side; rarity counted; nothing rounded."""
    node = Node(tmp_path)
    layout = Layout("kept", replication_factor=3, write_consistency_factor=2, on_disk_payload=False)
    async with serving(node) as port, store_on(port, layout, dimension=DIMENSION):
        made, indexes = node.held("kept").made, node.held("kept").indexes

    assert (made.replication_factor, made.write_consistency_factor, made.on_disk_payload) == (3, 2, False)
    assert {v.hnsw_config.m for v in made.vectors_config.params_map.map.values()} == {0}
    assert all(v.hnsw_config.payload_m for v in made.vectors_config.params_map.map.values())
    assert {v.modifier for v in made.sparse_vectors_config.map.values()} == {wire.Modifier.Idf}
    assert not made.HasField("quantization_config")
    tenants = {name for name, index in indexes.items() if index.field_index_params.keyword_index_params.is_tenant}
    assert tenants == {"scope"}
    assert {"scope", "tenant", "user", "session", "status", "kind", "trust", "policy", "seq", "pinned", "at"} == {
        *indexes
    }
