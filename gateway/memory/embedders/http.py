"""An embedder behind any OpenAI-compatible /v1/embeddings. Not on the hot path's budget: choose it knowingly."""

import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx

from gateway.errors import MemoryUnavailable
from gateway.memory.records import Vector

_SECONDS = 10.0


class HttpEmbedder:
    """See ports.Embedder. Made by `open`, which asks once to learn the dimension."""

    def __init__(self, client: httpx.AsyncClient, model: str) -> None:
        self._client = client
        self._model = model
        self._dimension = 0

    @classmethod
    @asynccontextmanager
    async def open(cls, base_url: str, model: str, key: str) -> AsyncIterator["HttpEmbedder"]:
        """An embedder at `base_url` such as http://host:port/v1; `key` may be empty."""
        headers = {"authorization": f"Bearer {key}"} if key else {}
        async with httpx.AsyncClient(base_url=base_url, headers=headers, timeout=_SECONDS) as client:
            embedder = cls(client, model)
            embedder._dimension = len((await embedder.embed(["dimension"]))[0])
            yield embedder

    @property
    def identity(self) -> str:
        return f"http:{self._model}"

    @property
    def dimension(self) -> int:
        return self._dimension

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        if not texts:
            return []
        asked = {"model": self._model, "input": [text or " " for text in texts]}
        try:
            response = await self._client.post("embeddings", json=asked)
            response.raise_for_status()
            return _vectors(response.json(), len(texts))
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as failed:
            raise MemoryUnavailable(f"The embedding endpoint failed: {type(failed).__name__}.") from failed

    async def ping(self) -> None:
        await self.embed(["ping"])


def _vectors(body: Any, count: int) -> list[Vector]:
    rows = sorted(body["data"], key=lambda row: row["index"])
    if len(rows) != count:
        raise ValueError("not one vector per text")
    return [_unit([float(x) for x in row["embedding"]]) for row in rows]


def _unit(vector: list[float]) -> list[float]:
    length = math.sqrt(sum(x * x for x in vector)) or 1.0
    return [x / length for x in vector]
