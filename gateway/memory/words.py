"""How near two words are in meaning, told from a language model's table of word vectors. Pure: the table is given.

"Kids" in a question is nearly "children" in a memory, which no lexical signal sees; and it costs no vector per memory,
because the table is all there is. (MaxSim as in ColBERT, Khattab and Zaharia 2020, but over input embeddings.)
"""

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

Matrix = np.ndarray[Any, np.dtype[np.float32]]
Ids = np.ndarray[Any, np.dtype[np.int64]]

_WORD = re.compile(r"[^\W_]+(?:'[a-z]+)?")
_TO_SPACES = str.maketrans({chr(code): " " for code in range(128) if not chr(code).isalnum() and chr(code) != "'"})
_COMMON, _RARE, _RAREST = 1500, 50, 6.5
_LEAST = 0.3
_SILENT = np.array([-1], np.int64)


def split(text: str) -> list[str]:
    """The words of a text in lower case and in order, without a possessive's ending."""
    if not text.isascii():
        return _words(text.lower().replace("’", "'"))
    # The same for most texts, in a third of the time.
    parts = text.lower().translate(_TO_SPACES).split()
    return parts if "'" not in text else [word for part in parts for word in (_words(part) if "'" in part else (part,))]


def _words(low: str) -> list[str]:
    return [word.removesuffix("'s") for word in _WORD.findall(low)]


@dataclass(frozen=True)
class Words:
    """`rows` maps a word to its row of `table`: (words + 1, dimensions) float32, unit rows, the last one zero.

    Words are in the order of their frequency, as a model's vocabulary is. Without any, a word is near itself only.
    """

    rows: Mapping[str, int]
    table: Matrix

    @classmethod
    def none(cls) -> "Words":
        """No table."""
        return cls({}, np.zeros((1, 1), np.float32))

    def ids(self, words: Sequence[str]) -> Ids:
        """A number for each word: its row or that of its singular; beyond the table for an unknown one."""
        get = self.rows.get
        return np.array([self._id(word) if (row := get(word)) is None else row for word in words], np.int64)

    def rarity(self, ids: Ids) -> Matrix:
        """How much each word tells, up to 6.5, as the logarithm of its rank does; an unknown word is rare."""
        rarity: Matrix = self._rarity[np.minimum(ids, len(self.table) - 1)]
        return rarity

    def nearness(self, asked: Ids, texts: Sequence[Ids]) -> Matrix:
        """(asked words, texts): the cosine between each asked word and the text's nearest word; 1 for the word itself.

        A text without words is as near as an unknown word, 0.
        """
        told = np.concatenate([text if len(text) else _SILENT for text in texts])
        starts = np.cumsum([0, *(len(text) or 1 for text in texts)])[:-1]
        last = len(self.table) - 1
        near = self.table[np.minimum(asked, last)] @ self.table[np.minimum(told, last)].T  # −1 is the last row, too
        near[asked[:, None] == told] = 1.0
        nearest: Matrix = np.maximum.reduceat(near, starts, axis=1)
        return nearest

    def _id(self, word: str) -> int:
        """Of a word that has no row of its own."""
        found = self.rows.get(word[:-1]) if word.endswith("s") else None
        return len(self.table) + zlib.crc32(word.encode("utf-8", "replace")) if found is None else found

    @cached_property
    def _rarity(self) -> Matrix:
        ranks = np.maximum(np.arange(len(self.table)) - _COMMON, _RARE) / _RARE
        rarity = np.clip(np.log(ranks), _LEAST, _RAREST).astype(np.float32)
        rarity[-1] = _RAREST
        return rarity
