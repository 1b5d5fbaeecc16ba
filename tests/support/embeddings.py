"""An OpenAI-compatible /v1/embeddings on loopback whose vectors are hashed words: like texts get like vectors."""

import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

DIMENSION = 64
Answer = Callable[[dict[str, Any]], web.Response]


def hashed(text: str) -> list[float]:
    """Counts of hashed words, not of unit length."""
    vector = [0.0] * DIMENSION
    for word in text.lower().split() or [""]:
        vector[hashlib.blake2b(word.encode(), digest_size=1).digest()[0] % DIMENSION] += 1.0
    return vector


def answer(asked: dict[str, Any]) -> web.Response:
    """The rows last first, which the API allows; refuses what real servers refuse."""
    texts = asked["input"]
    if len(texts) > 32 or any(not text or len(text) > 30_000 for text in texts):
        return web.json_response({"error": {"message": "too much or nothing"}}, status=400)
    rows = [{"object": "embedding", "index": i, "embedding": hashed(text)} for i, text in enumerate(texts)]
    return web.json_response({"object": "list", "data": rows[::-1], "model": asked["model"]})


@asynccontextmanager
async def embedding_server(say: Answer = answer) -> AsyncIterator[str]:
    """The base URL, with /v1."""

    async def embeddings(request: web.Request) -> web.Response:
        return say(json.loads(await request.read()))

    app = web.Application(client_max_size=1 << 26)
    app.router.add_post("/v1/embeddings", embeddings)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()
