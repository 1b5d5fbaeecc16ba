"""The part `units`: what one memory, one turn, one user and one question take, for docs/sizing.md. Each is measured on
what really holds it: a redis-server, Qdrant's engine, this embedder. Draws nothing.
"""

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from gateway.memory.embedders.minilm import MiniLM
from gateway.memory.ports import Source
from tests.bench import targets, words
from tests.bench.targets import ROOT
from tests.bench_fleet.kept import kept
from tests.bench_fleet.load import load
from tests.bench_fleet.stored import stored

_TEXTS = 150
_SECONDS, _ROUNDS, _HELD = 2.0, 3, 10_000
_MODELS = ROOT / "build" / "test-models"


@dataclass(frozen=True)
class Unit:
    """One number of the table. `key` is its name in formulae."""

    key: str
    what: str
    value: float
    unit: str


async def units(folder: Path, say: Callable[[str], None]) -> list[Unit]:
    """All of them."""
    say("embedding …")
    found = await _embedding()
    async with AsyncExitStack() as stack:
        base = await stack.enter_async_context(targets.worker(None))
        upstream = f"http://127.0.0.1:{base.aim.port}/v1"
        found += [Unit(key, what, value, "bytes") for key, what, value in await kept(folder / "redis", upstream, say)]
    found += [Unit(key, what, value, "bytes") for key, what, value in await stored(folder / "qdrant", say)]
    return found + await _work(folder / "work", say)


async def _work(folder: Path, say: Callable[[str], None]) -> list[Unit]:
    """CPU of a question, of its recall, of keeping and of indexing a turn, wherever it is spent."""
    rows = await load(("direct", "off", "read", "on"), _SECONDS, _ROUNDS, _HELD, folder, say, processes=(1,))
    off, read, on = (
        {who: median(values) for who, values in rows[name, 1].cpu.items()} for name in ("off", "read", "on")
    )
    told = {
        "request": ("a request without memory, gateway", off["gateway"]),
        "recall": ("recall, gateway", read["gateway"] - off["gateway"]),
        "keep": ("keeping the turn, gateway", on["gateway"] - read["gateway"]),
        "index": ("indexing the turn, writer", on["writer"] - read["writer"]),
        "redis_recall": ("recall, Redis", read["Redis"]),
        "redis_turn": ("keeping and indexing the turn, Redis", on["Redis"] - read["Redis"]),
        "store_recall": ("recall, stand-in store", read["store"]),
        "store_turn": ("indexing the turn, stand-in store", on["store"] - read["store"]),
    }
    return [Unit(key, f"CPU: {what}", value, "ms of CPU") for key, (what, value) in told.items()]


async def _embedding() -> list[Unit]:
    """CPU, all threads of this process together, of texts that are new."""
    dice = random.Random()
    lengths = {"a question": 1, "a turn of three sentences": 3, "a turn of ten sentences": 10}
    found = []
    async with MiniLM.open(Source(_MODELS, "", "", "")) as embedder:
        await embedder.embed(["The first text takes longer than any other."])
        for what, sentences in lengths.items():
            texts = [" ".join(words.fact(dice) for _ in range(sentences)) for _ in range(_TEXTS)]
            began = time.process_time()
            for text in texts:
                await embedder.embed([text])
            took = (time.process_time() - began) / _TEXTS * 1000
            length = sum(map(len, texts)) / _TEXTS
            found.append(Unit("", f"embedding: {what}, {length:.0f} characters", took, "ms of CPU"))
            await asyncio.sleep(0)
    return found
