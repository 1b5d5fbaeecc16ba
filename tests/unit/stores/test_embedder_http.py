"""The HTTP embedder's own rules: whatever the endpoint does wrong has one name."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import MemoryUnavailable
from gateway.memory.embedders.http import HttpEmbedder
from gateway.memory.ports import Source
from tests.support.embeddings import answer, embedding_server, told
from tests.support.upstream import Reply

NOWHERE = Path("no files needed")
Rows = list[dict[str, Any]]
GOOD = {"index": 0, "embedding": [3.0, 4.0]}


@asynccontextmanager
async def opened(later: Reply) -> AsyncIterator[HttpEmbedder]:
    """An embedder of two dimensions whose endpoint answers `later` from the second call on."""
    first = [told({"data": [GOOD]})]
    async with (
        embedding_server(lambda _: first.pop() if first else later) as url,
        HttpEmbedder.open(Source(NOWHERE, url, "m")) as embedder,
    ):
        yield embedder


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"\xff",
        b"[]",
        b"null",
        b"{}",
        b'{"data":null}',
        b'{"data":[]}',
        b'{"data":[1]}',
        b'{"data":[{"index":0}]}',
        b'{"data":[{"index":1,"embedding":[1,0]}]}',
        b'{"data":[{"index":"0","embedding":[1,0]}]}',
        b'{"data":[{"index":0,"embedding":[1,0]},{"index":1,"embedding":[1,0]}]}',
        b'{"data":[{"index":0,"embedding":[1,0,0]}]}',
        b'{"data":[{"index":0,"embedding":[]}]}',
        b'{"data":[{"index":0,"embedding":[0,0]}]}',
        b'{"data":[{"index":0,"embedding":[1e999,0]}]}',
        b'{"data":[{"index":0,"embedding":[null,0]}]}',
        b'{"data":[{"index":0,"embedding":"base64"}]}',
        b'{"data":[{"index":[],"embedding":[1,0]}]}',
    ],
)
async def test_a_bad_answer_is_unavailable(body: bytes) -> None:
    """Anything but one finite vector of the model's dimension per text."""
    async with opened(Reply(chunks=(body,))) as embedder:
        with pytest.raises(MemoryUnavailable):
            await embedder.embed(["text"])


async def test_an_error_status_is_unavailable() -> None:
    """And the message does not repeat what the endpoint said."""
    async with opened(Reply(status=500, chunks=(b"secret",))) as embedder:
        with pytest.raises(MemoryUnavailable) as failed:
            await embedder.ping()
    assert "secret" not in failed.value.message


async def test_vectors_are_scaled_to_unit_length() -> None:
    """Whatever the endpoint gives."""
    async with opened(told({"data": [GOOD]})) as embedder:
        assert await embedder.embed(["text"]) == [[0.6, 0.8]]


async def test_an_endpoint_that_is_away_is_named_at_start() -> None:
    """Opening fails with the one error that memory has."""
    async with embedding_server() as url:
        pass

    with pytest.raises(MemoryUnavailable):
        async with HttpEmbedder.open(Source(NOWHERE, url, "m")):
            pass


async def test_the_endpoint_is_asked_in_small_batches() -> None:
    """Never more texts than every server takes, and in order."""
    sizes = []

    def counting(asked: dict[str, Any]) -> Reply:
        sizes.append(len(asked["input"]))
        return answer(asked)

    async with embedding_server(counting) as url, HttpEmbedder.open(Source(NOWHERE, url, "m")) as embedder:
        await embedder.embed([f"n{number}" for number in range(70)])

    assert sizes == [1, 32, 32, 6]


async def test_the_model_is_named() -> None:
    """In the request as the API has it, and in the identity that is stamped."""
    seen: list[dict[str, Any]] = []

    def noting(asked: dict[str, Any]) -> Reply:
        seen.append(asked)
        return answer(asked)

    async with embedding_server(noting) as url, HttpEmbedder.open(Source(NOWHERE, url, "my-model", "key")) as embedder:
        assert embedder.identity == "http:my-model"

    assert json.dumps(seen) == '[{"model": "my-model", "input": ["dimension"]}]'
