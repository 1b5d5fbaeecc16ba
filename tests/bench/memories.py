"""Fills the store that MNEME_* names with memories, through the gateway's own embedder, in a process of its own."""

import asyncio
import random
import sys
import uuid

from gateway.memory import lexical
from gateway.memory.records import Entry, Memory, Scope
from gateway.settings import Settings, read_settings
from gateway.wiring import open_services
from tests.bench import words

TENANT = "bench"
_FACTS = 1000  # users share them, which no user can notice; embedding is what takes the time
_BATCH = 500
_BASE = 1_700_000_000.0


async def fill(settings: Settings, count: int) -> None:
    """`count` memories, dealt out to all users alike; no user gets one twice."""
    dice = random.Random(count)
    facts = [words.fact(dice) for _ in range(_FACTS)]
    async with open_services(settings) as services:
        vectors = await services.embedder.embed(facts)
        entries = []
        for number in range(count):
            at = (number // words.USERS + number * 7) % _FACTS
            dense, sparse = vectors[at], lexical.document(facts[at])
            memory = _memory(number, facts[at])
            entries.append(Entry(memory, {"turn": dense, "near": dense}, {"turn": sparse, "near": sparse}))
        for start in range(0, count, _BATCH):
            await services.memories.put(entries[start : start + _BATCH])


def _memory(number: int, text: str) -> Memory:
    scope, session = Scope(TENANT, words.user(number)), f"session-{number // 1000}"
    id, at = str(uuid.uuid5(uuid.NAMESPACE_OID, f"bench-{number}")), _BASE + number * 60
    return Memory(id, scope, session, text, "Noted.", at=at, updated=at, seq=number + 1, sources=(id,))


if __name__ == "__main__":
    asyncio.run(fill(read_settings(), int(sys.argv[1])))
