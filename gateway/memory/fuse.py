"""How promising candidates are when four signals that count in different units speak at once. Pure; never knows where a
score came from."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

SIGNALS = ("dense_turn", "dense_near", "bm25_turn", "bm25_near")
Column = np.ndarray[Any, np.dtype[np.float64]]
# Memories of the times that a question names, which are found beside the most promising ones: enough for a day or two,
# on LoCoMo no more was found with twice as many.
IN_TIME, AT_AN_END = 20, 10
_ALIKE = 1e-9  # a spread below this is rounding, and a signal that says the same of all says nothing


def column(signals: Sequence[Mapping[str, float]], name: str) -> Column:
    """One signal's raw scores, in order. A candidate that the signal did not find counts as its lowest found, or as 0
    where no word is shared."""
    found = [scores[name] for scores in signals if name in scores]
    floor = 0.0 if name.startswith("bm25") else min(found, default=0.0)
    return np.array([scores.get(name, floor) for scores in signals], float)


def standard(columns: Column) -> Column:
    """Each row of the last axis in standard deviations from its mean; all 0 where there is no spread."""
    if not columns.size:
        return columns
    spread = columns.std(-1, keepdims=True)
    away = columns - columns.mean(-1, keepdims=True)
    standardised: Column = np.divide(away, spread, out=np.zeros_like(away), where=spread > _ALIKE)
    return standardised


def promise(columns: Sequence[Column]) -> Column:
    """Per candidate the sum of its standard scores; one column per signal."""
    total: Column = standard(np.stack(columns)).sum(0)
    return total


def shortlist(promises: Column, ids: Sequence[str], limit: int) -> list[int]:
    """Places of the `limit` most promising, best first; of equals the one with the lower id."""
    ranked = sorted(zip((-promises).tolist(), ids, range(len(ids)), strict=True))
    return [place for _, _, place in ranked[:limit]]
