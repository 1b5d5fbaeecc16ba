"""Random directions as a hash: vectors that point the same way often share a bucket. Pure; keeps nothing.

TiM's single table (arXiv 2311.08719): F(x) = argmax([xR; -xR]) with R of d x b/2 random numbers. Vectors whose cosine
is 0.8 share one of 16 buckets in less than half of all cases (`make bench-memory`), so this is no way to find memories:
it only groups them, to see which of them could be merged.
"""

from functools import lru_cache
from typing import Any

import numpy as np

from gateway.memory.records import Vector

_SEED = 20231114


def bucket(vector: Vector, buckets: int) -> int:
    """Which of an even number of buckets it falls into; the same in every process."""
    turned = np.asarray(vector) @ _directions(len(vector), buckets // 2)
    return int(np.argmax(np.concatenate([turned, -turned])))


@lru_cache(maxsize=8)
def _directions(dimension: int, count: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(_SEED).standard_normal((dimension, count))
