"""The stand-in for a Qdrant as doctor sees it, and what a cluster's answer would mean; and nothing is written."""

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
from qdrant_client import models

from gateway.doctor.finding import Finding
from gateway.doctor.qdrant import copies_of, look, look_at_index, status_of
from gateway.errors import DataDirectoryRefused
from gateway.memory.embedders.http import HttpEmbedder
from gateway.memory.ports import Embedder, Source
from gateway.memory.stores.qdrant import Layout, Server
from tests.contracts.samples import DIMENSION as OTHER_DIMENSION
from tests.support.embeddings import DIMENSION, embedding_server
from tests.support.findings import states, told
from tests.support.qdrant import store_on
from tests.support.qdrant_server import Node, serving

CANARY = "hunter2"


def server(port: int, key: str = "") -> Server:
    """On loopback."""
    return Server("http://127.0.0.1", key, grpc_port=port)


@pytest_asyncio.fixture
async def embedder() -> AsyncIterator[Embedder]:
    """Hashed words."""
    async with embedding_server() as url, HttpEmbedder.open(Source(Path(), url, "words")) as opened:
        yield opened


async def fill(port: int, identity: str = "http:words", dimension: int = DIMENSION) -> None:
    """A collection of this embedder."""
    async with store_on(port, identity=identity, dimension=dimension):
        pass


async def test_a_server_is_told_with_its_version(tmp_path: Path) -> None:
    """One that is too old would refuse a start."""
    async with serving(Node(tmp_path / "new")) as port:
        assert told(await look(server(port)), "qdrant").startswith("ok: 127.0.0.1, version 1.")
    async with serving(Node(tmp_path / "old", version="1.18.3")) as port:
        with pytest.raises(DataDirectoryRefused, match=r"needs 1\.19"):
            await look(server(port))


async def test_a_server_that_is_away_or_lets_nobody_in_fails(tmp_path: Path, embedder: Embedder) -> None:
    """With the knobs to look at, and without the key."""
    async with serving(Node(tmp_path, key="right")) as port:
        refused = await look(server(port, CANARY))
        assert told(refused, "qdrant").startswith("fail") and "MNEME_QDRANT_KEY" in told(refused, "qdrant")
    away = await look(server(port, CANARY))
    assert told(away, "qdrant").startswith("fail")
    assert CANARY not in str(refused) + str(away)
    lost = await look_at_index(server(port), Layout(), embedder)
    assert told(lost, "index").startswith("skipped")


async def test_the_collection_is_looked_at(tmp_path: Path, embedder: Embedder) -> None:
    """None is made; one that is merging answers all the same."""
    node = Node(tmp_path)
    async with serving(node) as port:
        assert "not there yet" in told(await look_at_index(server(port), Layout(), embedder), "index")
        assert not node.has("mneme")
        await fill(port)
        node.asked.clear()
        node.busy = True
        findings = await look_at_index(server(port), Layout(), embedder)

    assert states(findings) == {"ok"}
    assert "filled by http:words" in told(findings, "index")
    assert told(findings, "index status").startswith("ok: yellow")
    assert {name for name, _ in node.asked} <= {"List", "CollectionExists", "Get"}


@pytest.mark.parametrize("damage", ["embedder", "dimension", "format", "foreign"])
async def test_a_collection_that_would_refuse_to_start_fails(tmp_path: Path, embedder: Embedder, damage: str) -> None:
    """Of another embedder, of a newer format, or somebody else's."""
    node = Node(tmp_path)
    async with serving(node) as port:
        identity, dimension = ("other", DIMENSION) if damage == "embedder" else ("http:words", OTHER_DIMENSION)
        await fill(port, identity, dimension if damage in ("embedder", "dimension") else DIMENSION)
        if damage == "format":
            node.held("mneme").made.metadata["format"].integer_value = 99
        if damage == "foreign":
            node.held("mneme").made.metadata.clear()

        with pytest.raises(DataDirectoryRefused):
            await look_at_index(server(port), Layout(), embedder)
        with pytest.raises(DataDirectoryRefused):
            await fill(port)


async def test_a_server_that_fails_in_the_middle_is_no_traceback(tmp_path: Path) -> None:
    """Its kind is told."""
    node = Node(tmp_path)
    node.failing = grpc.StatusCode.INTERNAL
    async with serving(node) as port:
        assert "INTERNAL" in told(await look(server(port)), "qdrant")


@pytest.mark.parametrize(("status", "state"), [("green", "ok"), ("yellow", "ok"), ("grey", "warn"), ("red", "fail")])
def test_what_a_server_says_of_a_collection_is_judged(status: str, state: str) -> None:
    """Red has lost something, grey waits."""
    info = models.CollectionInfo.model_construct(status=models.CollectionStatus(status), points_count=7)

    assert (status_of(info).state, status_of(info).found) == (state, f"{status}, 7 points")


@pytest.mark.parametrize(
    ("made", "configured", "state"),
    [
        ((None, None), (1, 1), "ok"),
        ((3, 3), (3, 3), "ok"),
        ((3, 2), (3, 2), "warn"),
        ((1, 1), (3, 3), "warn"),
        ((2, 3), (2, 2), "fail"),
    ],
)
def test_copies_are_held_against_what_must_be_written(
    made: tuple[int | None, int | None], configured: tuple[int, int], state: str
) -> None:
    """More than there are cannot be written; fewer than all may be read too early; the knobs shape new ones only."""
    params = models.CollectionParams(replication_factor=made[0], write_consistency_factor=made[1])
    layout = Layout(replication_factor=configured[0], write_consistency_factor=configured[1])
    found: Finding = copies_of(params, layout)

    assert found.state == state
    assert bool(found.advice) == (state != "ok")
