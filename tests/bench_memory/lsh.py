"""TiM's single hash table beside a graph (HNSW): how often a true match shares a bucket, and what is found how fast.

Vectors are MiniLM's, of made sentences about made people, so that many are alike and some are nearly the same; for the
table of cosines they are drawn, each pair at its exact cosine.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from qdrant_edge import (
    Distance,
    EdgeConfig,
    EdgeOptimizersConfig,
    EdgeShard,
    EdgeVectorParams,
    HnswIndexConfig,
    Point,
    Query,
    QueryBatchRequest,
    QueryRequest,
    UpdateOperation,
)

from gateway.memory.embedders.minilm import MiniLM
from gateway.memory.policies.lsh import bucket
from gateway.memory.ports import Source
from tests.bench import words

Matrix = np.ndarray[Any, Any]
BUCKETS, COSINES = (16, 64, 256), (0.95, 0.9, 0.8, 0.7, 0.6, 0.5)
_DIMENSION, _PAIRS, _BEST = 384, 4000, 10
_ASKED = 200


def run(options: argparse.Namespace) -> str:
    """Both tables; `sentences` says among how many is searched."""
    finds = table_of_finds(options.sentences)
    return f"Pairs that share a bucket, by cosine:\n\n{table_of_cosines()}\n\nWhat a question finds:\n\n{finds}"


def shared(buckets: int, cosine: float, pairs: int = _PAIRS) -> float:
    """Share of random pairs at a cosine that fall into one bucket."""
    dice = np.random.default_rng(int(cosine * 100) + buckets)
    one, other = (_unit(dice.standard_normal((pairs, _DIMENSION))) for _ in range(2))
    across = _unit(other - np.sum(one * other, axis=1, keepdims=True) * one)
    near = cosine * one + np.sqrt(1 - cosine**2) * across
    return float(np.mean([bucket([*a], buckets) == bucket([*b], buckets) for a, b in zip(one, near, strict=True)]))


def table_of_cosines() -> str:
    """As Markdown."""
    head = "| buckets | " + " | ".join(f"cosine {cosine:g}" for cosine in COSINES) + " |"
    rows = [f"| {b} | " + " | ".join(f"{shared(b, c):.2f}" for c in COSINES) + " |" for b in BUCKETS]
    return "\n".join([head, "|---|" + "---:|" * len(COSINES), *rows])


def table_of_finds(count: int) -> str:
    """What each way finds of the ten most alike among `count` sentences, and how long one question takes."""
    stored, asked = asyncio.run(_vectors(count))
    exact = [set(np.argsort(-(stored @ question))[:_BEST].tolist()) for question in asked]
    rows = [("every vector", *_tried(lambda q: [*np.argsort(-(stored @ q))[:_BEST]], asked, exact))]
    with tempfile.TemporaryDirectory(prefix="mneme-lsh-") as folder:
        rows.append(("graph (HNSW, m 16)", *_tried(_graph(Path(folder), stored), asked, exact)))
    for buckets in BUCKETS:
        rows.append((f"one table, {buckets} buckets", *_tried(_hashed(stored, buckets), asked, exact)))
    lines = [f"| {name} | {found:.2f} | {millis:.2f} |" for name, found, millis in rows]
    return "\n".join(["| way | of the 10 most alike | ms, median |", "|---|---:|---:|", *lines])


async def _vectors(count: int) -> tuple[Matrix, Matrix]:
    dice = random.Random(7)
    facts = [*dict.fromkeys(words.fact(dice) for _ in range(count))]
    with tempfile.TemporaryDirectory(prefix="mneme-lsh-") as folder:
        async with MiniLM.open(Source(Path(folder))) as embedder:
            vectors = np.asarray(await embedder.embed(facts), dtype=np.float32)
    return vectors[:-_ASKED], vectors[-_ASKED:]


def _tried(find: Callable[[Matrix], list[int]], asked: Matrix, exact: list[set[int]]) -> tuple[float, float]:
    """Mean share of the true best that was found, and the median of milliseconds."""
    found, took = [], []
    for question, best in zip(asked, exact, strict=True):
        began = time.perf_counter()
        got = find(question)
        took.append(1000 * (time.perf_counter() - began))
        found.append(len(best & {int(at) for at in got}) / len(best))
    return statistics.mean(found), statistics.median(took)


def _hashed(stored: Matrix, buckets: int) -> Callable[[Matrix], list[int]]:
    table: dict[int, list[int]] = defaultdict(list)
    for at, vector in enumerate(stored):
        table[bucket([*vector], buckets)].append(at)
    rows = {number: (np.asarray(ids), stored[ids]) for number, ids in table.items()}
    nothing = np.asarray([], dtype=int), np.zeros((0, stored.shape[1]))

    def find(question: Matrix) -> list[int]:
        ids, vectors = rows.get(bucket([*question], buckets), nothing)
        return [*ids[np.argsort(-(vectors @ question))[:_BEST]]]

    return find


def _graph(folder: Path, stored: Matrix) -> Callable[[Matrix], list[int]]:
    links = HnswIndexConfig(m=16, ef_construct=100, full_scan_threshold=10)
    vectors = {"v": EdgeVectorParams(size=stored.shape[1], distance=Distance.Cosine, hnsw_config=links)}
    config = EdgeConfig(vectors=vectors, optimizers=EdgeOptimizersConfig(indexing_threshold=10))
    shard = EdgeShard.create(str(folder), config)
    for start in range(0, len(stored), 500):
        rows = enumerate(stored[start : start + 500], start)
        shard.update(UpdateOperation.upsert_points([Point(at, {"v": row.tolist()}, {}) for at, row in rows]))
    shard.optimize()

    def find(question: Matrix) -> list[int]:
        request = QueryRequest(limit=_BEST, query=Query.Nearest(question.tolist(), using="v"))
        return [int(str(hit.id)) for hit in shard.query_batch(QueryBatchRequest([request]))[0]]

    return find


def _unit(rows: Matrix) -> Matrix:
    unit: Matrix = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    return unit
