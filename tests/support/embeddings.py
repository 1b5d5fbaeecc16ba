"""An OpenAI-compatible /v1/embeddings on loopback whose vectors are hashed words: like texts get like vectors."""

import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from tests.support.upstream import Reply, scripted_upstream

DIMENSION = 64
Answer = Callable[[dict[str, Any]], Reply]


def hashed(text: str) -> list[float]:
    """Counts of hashed words, not of unit length."""
    vector = [0.0] * DIMENSION
    for word in text.lower().split() or [""]:
        vector[hashlib.blake2b(word.encode(), digest_size=1).digest()[0] % DIMENSION] += 1.0
    return vector


def told(body: Any, status: int = 200) -> Reply:
    """An answer in JSON."""
    return Reply(status, chunks=(json.dumps(body).encode(),))


def answer(asked: dict[str, Any]) -> Reply:
    """The rows last first, which the API allows; refuses what real servers refuse."""
    texts = asked["input"]
    if len(texts) > 32 or any(not text or len(text) > 30_000 for text in texts):
        return told({"error": {"message": "too much or nothing"}}, 400)
    rows = [{"object": "embedding", "index": i, "embedding": hashed(text)} for i, text in enumerate(texts)]
    return told({"object": "list", "data": rows[::-1], "model": asked["model"]})


@asynccontextmanager
async def embedding_server(say: Answer = answer) -> AsyncIterator[str]:
    """The base URL, with /v1."""
    async with scripted_upstream() as worker:
        worker.answering = lambda received: say(json.loads(received.body))
        yield worker.url
