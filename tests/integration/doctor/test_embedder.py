"""Embedders as doctor tries them: the packaged one, an endpoint that is slow, noisy or dead; and whose the index is."""

import itertools
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from gateway.doctor.embedder import look
from gateway.doctor.finding import Finding
from gateway.doctor.indexes import look as look_at_index
from gateway.errors import DataDirectoryRefused
from gateway.memory.embedders.http import HttpEmbedder
from gateway.memory.embedders.minilm import MiniLM
from gateway.memory.ports import Embedder, Source
from gateway.memory.stores.edge import EdgeStore
from tests.support.embeddings import DIMENSION, answer, embedding_server, hashed
from tests.support.embeddings import told as rows
from tests.support.findings import told
from tests.support.gateway import _MODELS

CANARY = "hunter2"
Opening = Callable[[], AbstractAsyncContextManager[Embedder]]


def over(url: str) -> Opening:
    """The endpoint there."""
    return lambda: HttpEmbedder.open(Source(Path(), url, "words", CANARY))


async def found(opening: Opening, data: Path, deadline: float = 2.0) -> list[Finding]:
    """By doctor, who looks at the index in this directory too."""

    async def index(embedder: Embedder) -> list[Finding]:
        return await look_at_index(data, embedder)

    return await look(opening, index, deadline)


async def filled(path: Path, identity: str = "http:words", dimension: int = DIMENSION) -> None:
    """An index of this embedder."""
    async with EdgeStore.open(path, embedder_identity=identity, dimension=dimension):
        pass


async def test_the_packaged_embedder_is_tried(tmp_path: Path) -> None:
    """With its dimension and its milliseconds; where it is slow for recall that is told."""
    _MODELS.mkdir(parents=True, exist_ok=True)
    findings = await found(lambda: MiniLM.open(Source(_MODELS)), tmp_path, deadline=60)
    assert "ok: all-MiniLM-L6-v2, 384 dimensions" in told(findings, "embedder")
    findings = await found(lambda: MiniLM.open(Source(_MODELS)), tmp_path, deadline=0.0001)
    assert told(findings, "embedder").startswith("warn") and "MNEME_RECALL_DEADLINE" in told(findings, "embedder")


async def test_weights_that_are_missing_are_told(tmp_path: Path) -> None:
    """With the command that installs them; whose index it should be is not known then."""
    findings = await found(lambda: MiniLM.open(Source(tmp_path), folder=tmp_path / "nowhere"), tmp_path)

    assert told(findings, "embedder").startswith("fail") and "pip install" in told(findings, "embedder")
    assert told(findings, "index").startswith("skipped")


async def test_an_endpoint_is_tried(tmp_path: Path) -> None:
    """As the packaged one; a dead one is a failure, and its key is not shown."""
    async with embedding_server() as url:
        findings = await found(over(url), tmp_path)
        assert told(findings, "embedder").startswith(f"ok: http:words, {DIMENSION} dimensions")
        assert told(findings, "index").startswith("ok: not there yet")
    findings = await found(over(url), tmp_path)
    assert told(findings, "embedder").startswith("fail: The embedding endpoint failed")
    assert CANARY not in str(findings)


async def test_noise_is_told(tmp_path: Path) -> None:
    """The same text must have the same vector, but for the last digits."""
    count = itertools.count()

    def noisy(asked: dict[str, Any]) -> Any:
        vector = hashed(f"{asked['input'][0]} {next(count)}")
        return rows({"data": [{"index": 0, "embedding": vector}]})

    async with embedding_server(noisy) as url:
        assert "another vector each time" in told(await found(over(url), tmp_path), "embedder")


async def test_an_endpoint_that_changes_its_model_fails(tmp_path: Path) -> None:
    """Vectors of another dimension in the middle of it."""
    count = itertools.count()

    def fickle(asked: dict[str, Any]) -> Any:
        return answer(asked) if next(count) < 2 else rows({"data": [{"index": 0, "embedding": [1.0, 2.0]}]})

    async with embedding_server(fickle) as url:
        assert told(await found(over(url), tmp_path), "embedder").startswith("fail")


@pytest.mark.parametrize("damage", ["embedder", "format", "stamp", "no stamp"])
async def test_an_index_that_would_refuse_to_start_fails(tmp_path: Path, damage: str) -> None:
    """Of another embedder, of a newer format, or damaged; one that fits is fine, and none is made or changed."""
    path = tmp_path / "memories"
    async with embedding_server() as url:
        await found(over(url), tmp_path)
        assert not path.exists()
        await filled(path)
        assert told(await found(over(url), tmp_path), "index").startswith("ok: memories, filled by http:words")

        stamp = path / "stamp.json"
        if damage == "embedder":
            stamp.write_text(stamp.read_text().replace("http:words", "other"))
        elif damage == "format":
            stamp.write_text(stamp.read_text().replace('"format": 1', '"format": 99'))
        elif damage == "stamp":
            stamp.write_text("{")
        else:
            stamp.unlink()
        before = sorted(file.name for file in path.iterdir())
        findings = await found(over(url), tmp_path)

        assert told(findings, "index").startswith("fail")
        assert sorted(file.name for file in path.iterdir()) == before
        with pytest.raises(DataDirectoryRefused):
            async with EdgeStore.open(path, embedder_identity="http:words", dimension=DIMENSION):
                pass
