"""A small made-up table of word vectors, for tests that need one word to be near another."""

from collections.abc import Sequence

import numpy as np

from gateway.memory.words import Words

_RANKS = 30_000  # as in a real vocabulary: what stands far behind is rare
_LIKE, _APART = 0.9, 0.6  # parts of a vector: what a group shares, and what is a word's own


def table(*, common: str = "", near: Sequence[Sequence[str]] = ()) -> Words:
    """`common` words stand first and tell little. Rare words are near those of their own group, about as "kids" is to
    "children", and at a right angle to all others."""
    first, grouped = common.split(), [word for group in near for word in group]
    rows = {word: i for i, word in enumerate(first)} | {word: _RANKS + i for i, word in enumerate(grouped)}
    vectors = np.zeros((_RANKS + len(grouped) + 1, len(first) + len(near) + len(grouped)), np.float32)
    for i in range(len(first)):
        vectors[i, i] = 1.0
    for group, words in enumerate(near):
        for word in words:
            row = rows[word]
            vectors[row, len(first) + group] = _LIKE
            vectors[row, len(first) + len(near) + row - _RANKS] = _APART
    return Words(rows, vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9))
