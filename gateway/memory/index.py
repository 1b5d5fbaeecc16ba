"""What an index is: an embedder and the store of its vectors; and how memories are laid out in one, each beside what
stands around it. Knows no policy's name, and not how many indexes there are."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gateway.memory import lexical
from gateway.memory.policies.base import Policy
from gateway.memory.ports import Embedder, MemoryStore
from gateway.memory.records import Entry, Memory, Scope, Sparse, Vector

Row = tuple[Memory, Sequence[Memory], Sequence[Memory]]
"""A memory with the turns before and after it."""


@dataclass(frozen=True, slots=True)
class Index:
    """Memories under one embedder's vectors."""

    memories: MemoryStore
    embedder: Embedder

    async def ping(self) -> None:
        """Raise MemoryUnavailable unless both answer."""
        await self.memories.ping()
        await self.embedder.ping()


async def laid_out(policy: Policy, rows: Sequence[Row], embedders: Sequence[Embedder]) -> list[list[Entry]]:
    """Of every embedder its entries for the rows, in order. Writes nothing."""
    texts = [*dict.fromkeys(m.text for memory, before, after in rows for m in (memory, *before, *after))]
    # Beside each other, and beside requests: the terms of a batch take longer than a request should wait for.
    terms, embedded = await asyncio.gather(
        asyncio.to_thread(_terms, policy, rows), asyncio.gather(*(embedder.embed(texts) for embedder in embedders))
    )
    return [_entries(policy, rows, terms, dict(zip(texts, vectors, strict=True))) for vectors in embedded]


async def rows_around(
    memories: MemoryStore,
    policy: Policy,
    scope: Scope,
    session: str,
    fresh: Sequence[Memory] = (),
    leaving: Sequence[Memory] = (),
) -> list[Row]:
    """What to store when `fresh` comes and `leaving` goes: `fresh`, and anew what stays beside either in the session as
    `memories` has it, without what leaves. A note stands alone, and so does what has no place in the line."""
    own = {memory.id: memory for memory in fresh}
    rows: list[Row] = [(memory, (), ()) for memory in own.values() if not in_line(memory)]
    touched = [memory for memory in (*own.values(), *leaving) if in_line(memory)]
    if touched:
        first, last = min(m.seq for m in touched), max(m.seq for m in touched)
        around = await memories.neighbours(scope, session, first, last, 2 * policy.radius)
        rows += _rows({m.id: m for m in (*around, *touched)}, touched, leaving, policy.radius)
    return rows


def laid_alike(old: Memory, new: Memory) -> bool:
    """Whether two versions of a memory have the same vectors, and the same part in their neighbours'."""
    return old == replace(
        new, status=old.status, pinned=old.pinned, updated=old.updated, version=old.version, former=old.former
    )


def in_line(memory: Memory) -> bool:
    """Whether it has a place among its session's turns."""
    return memory.kind == "turn" and memory.seq > 0


def _rows(known: Mapping[str, Memory], touched: Sequence[Memory], leaving: Sequence[Memory], radius: int) -> list[Row]:
    """Of a session's line those within `radius` places of one that is touched, each with what will stand around it. The
    pieces of a long turn have a place each."""
    line = sorted(known.values(), key=lambda m: (m.seq, m.id))
    ids, gone = {memory.id for memory in touched}, {memory.id for memory in leaving}
    places = [i for i, memory in enumerate(line) if memory.id in ids]
    due = {line[j].id for i in places for j in range(max(i - radius, 0), min(i + radius + 1, len(line)))}
    stays = [memory for memory in line if memory.id not in gone]
    return [
        (memory, stays[max(i - radius, 0) : i], stays[i + 1 : i + 1 + radius])
        for i, memory in enumerate(stays)
        if memory.id in due
    ]


def _terms(policy: Policy, rows: Sequence[Row]) -> list[dict[str, Sparse]]:
    return [
        {"turn": lexical.document(memory.text), "near": lexical.document(policy.near(memory, before, after))}
        for memory, before, after in rows
    ]


def _entries(
    policy: Policy, rows: Sequence[Row], terms: Sequence[dict[str, Sparse]], vectors: Mapping[str, Vector]
) -> list[Entry]:
    arrays = {text: np.asarray(vector) for text, vector in vectors.items()}
    entries = []
    for (memory, before, after), sparse in zip(rows, terms, strict=True):
        blended = _blend(arrays, memory, before, after, policy.blend)
        entries.append(Entry(memory, {"turn": vectors[memory.text], "near": blended}, sparse))
    return entries


def _blend(
    vectors: Mapping[str, np.ndarray[Any, Any]],
    memory: Memory,
    before: Sequence[Memory],
    after: Sequence[Memory],
    weights: Sequence[float],
) -> Vector:
    """The unit vector between the memory's own and its neighbours', each weighed by its distance."""
    around = [(1 + i, m) for side in (reversed(before), after) for i, m in enumerate(side)]
    weighed = [weights[at] * vectors[m.text] for at, m in [(0, memory), *around]]
    blended = np.sum(weighed, axis=0)
    unit: list[float] = (blended / (np.linalg.norm(blended) or 1.0)).tolist()
    return unit
