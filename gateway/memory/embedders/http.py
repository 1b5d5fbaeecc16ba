"""An embedder behind any OpenAI-compatible /v1/embeddings. Not on the hot path's budget: choose it knowingly."""

import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx

from gateway.errors import MemoryUnavailable
from gateway.memory.ports import Source
from gateway.memory.records import Vector
from gateway.memory.uncut import Uncut

_SECONDS = 10.0
_CHARS = 20_000  # some 5,000 tokens; servers refuse what is longer than their model takes
_BATCH = 32  # what every server takes at once


class HttpEmbedder:
    """See ports.Embedder. Made by `open`, which asks once to learn the dimension."""

    def __init__(self, client: httpx.AsyncClient, model: str) -> None:
        self._client = client
        self._model = model
        self._dimension = 0
        self._uncut = Uncut()

    @classmethod
    @asynccontextmanager
    async def open(cls, source: Source) -> AsyncIterator["HttpEmbedder"]:
        """The embedder at `source.url` such as http://host:port/v1; the key may be empty."""
        headers = {"authorization": f"Bearer {source.key}"} if source.key else {}
        async with httpx.AsyncClient(base_url=source.url, headers=headers, timeout=_SECONDS) as client:
            embedder = cls(client, source.model)
            try:
                embedder._dimension = len((await embedder.embed(["dimension"]))[0])
                yield embedder
            finally:
                await embedder._uncut.close()

    @property
    def identity(self) -> str:
        return f"http:{self._model}"

    @property
    def dimension(self) -> int:
        return self._dimension

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        safe = [text[:_CHARS].encode("utf-8", "replace").decode() or " " for text in texts]
        batches = [safe[i : i + _BATCH] for i in range(0, len(safe), _BATCH)]
        return [vector for batch in batches for vector in await self._ask(batch)]

    async def forget(self) -> None:
        """Nothing is kept."""

    async def _ask(self, texts: list[str]) -> list[Vector]:
        try:
            body = {"model": self._model, "input": texts}
            response = await self._uncut(lambda: self._client.post("embeddings", json=body))
            response.raise_for_status()
            return _vectors(response.json(), len(texts), self._dimension)
        except (httpx.HTTPError, httpx.InvalidURL, RuntimeError, ValueError, KeyError, TypeError) as failed:
            raise MemoryUnavailable(f"The embedding endpoint failed: {type(failed).__name__}.") from failed

    async def ping(self) -> None:
        await self.embed(["ping"])


def _vectors(body: Any, count: int, dimension: int) -> list[Vector]:
    """In the order of the texts; `dimension` 0 takes any. ValueError when it is not one good vector per text."""
    rows = {row["index"]: row["embedding"] for row in body["data"]}
    vectors: list[Vector] = [_unit([float(x) for x in rows[index]]) for index in range(count)]
    if len(rows) != count or any(len(vector) != (dimension or len(vectors[0])) for vector in vectors):
        raise ValueError("not one vector of the model's dimension per text")
    return vectors


def _unit(vector: list[float]) -> list[float]:
    length = math.sqrt(sum(x * x for x in vector))
    if not (math.isfinite(length) and length > 0):
        raise ValueError("not a direction")
    return [x / length for x in vector]
