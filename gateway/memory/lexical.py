"""Text as stemmed, stop-worded BM25 terms, computed in process so that every store holds the same vectors. Pure.

Rarity (IDF) is the store's part, because only it knows how often a term occurs. English stems and stop words; words of
other languages count as they stand, and scripts without spaces only match as whole runs.
"""

from functools import cache

from qdrant_edge import Bm25, Bm25Config

from gateway.memory.records import Sparse

_AVERAGE_TERMS = 24.0  # of a chat turn; the library's default (256) is made for documents
_LONGEST = 20_000


def document(text: str) -> Sparse:
    """Term weights of a remembered text: term frequency, saturated and normalised by length."""
    found = _model().embed_document(_safe(text))
    return Sparse(tuple(found.indices), tuple(found.values))


def query(text: str) -> Sparse:
    """The terms of a question, each with weight 1."""
    found = _model().embed_query(_safe(text))
    return Sparse(tuple(found.indices), tuple(found.values))


def terms(text: str) -> frozenset[int]:
    """The terms alone."""
    return frozenset(_model().embed_query(_safe(text)).indices)


@cache
def _model() -> Bm25:
    return Bm25(Bm25Config(language="english", avg_len=_AVERAGE_TERMS, ascii_folding=True))


def _safe(text: str) -> str:
    if text.isascii() and len(text) <= _LONGEST:
        return text
    return text[:_LONGEST].encode("utf-8", "replace").decode()
