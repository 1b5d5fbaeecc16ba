"""Text as stemmed, stop-worded BM25 terms, computed in process so that every store holds the same vectors. Pure.

Rarity (IDF) is the store's part, because only it knows how often a term occurs. Which language a text is in is not
guessed: what its letters show is all that counts, so a question and a fact always go the same way.
"""

import re
import unicodedata
from functools import cache
from itertools import pairwise

from qdrant_edge import Bm25, Bm25Config

from gateway.memory.records import Sparse

_AVERAGE_TERMS = 24.0  # of a chat turn; the library's default (256) is made for documents
_LONGEST = 20_000

# Scripts that put no spaces between words (Thai, Lao, Myanmar, Khmer, kana, Chinese characters), and Hangul, whose
# particles stand without a space. The tokenizer splits at the signs and digits of these blocks, which are left out.
_HAN = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_KANA = "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f"
_HANGUL = "\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3"
_THAI_TO_KHMER = "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u1000-\u103f\u1050-\u108f\u1780-\u17d3"
_UNSPACED = re.compile(f"[{_HAN}{_KANA}{_HANGUL}{_THAI_TO_KHMER}]+")
_IDEOGRAPH = re.compile(f"[{_HAN}]")
_CYRILLIC = re.compile("[\u0400-\u052f]+")
# Left in place: the breve of й, which Russian endings are told by, and the voicing of kana, which makes them others.
_LETTER_MAKING = "\u0306\u3099\u309a"
# Signs that tell no words apart, and at which the tokenizer would split one: soft hyphen, zero-width joiner, and the
# marks of Thai, Lao and Khmer that have no combining class.
_NO_LETTER = "\u00ad\u200d\u0e47\u0e4c\u0e4e\u0ecc\u17b4\u17b5\u17c9-\u17d3"


def document(text: str) -> Sparse:
    """Term weights of a remembered text: term frequency, saturated and normalised by length."""
    if text.isascii():
        found = _english().embed_document(text[:_LONGEST])
        return Sparse(tuple(found.indices), tuple(found.values))
    words, cyrillic = _words(text)
    found = _english().embed_document(words)
    weights = dict(zip(found.indices, found.values, strict=True))
    if cyrillic:
        found = _russian().embed_document(cyrillic)
        weights |= zip(found.indices, found.values, strict=True)
    return Sparse(tuple(weights), tuple(weights.values()))


def query(text: str) -> Sparse:
    """The terms of a question, each with weight 1."""
    found = _asked(text)
    return Sparse(tuple(found), (1.0,) * len(found))


def terms(text: str) -> frozenset[int]:
    """The terms alone."""
    return frozenset(_asked(text))


def spaced(text: str) -> str:
    """The text's beginning with spaces between what counts as a word, and without marks that tell no words apart."""
    plain = text[:_LONGEST].encode("utf-8", "replace").decode()
    bare = unicodedata.normalize("NFC", _marks().sub("", unicodedata.normalize("NFD", plain)))
    return _UNSPACED.sub(_pairs, bare)


def _asked(text: str) -> list[int]:
    if text.isascii():
        return _english().embed_query(text[:_LONGEST]).indices
    words, cyrillic = _words(text)
    found = _english().embed_query(words).indices
    return [*{*found, *_russian().embed_query(cyrillic).indices}] if cyrillic else found


@cache
def _english() -> Bm25:
    return Bm25(Bm25Config(language="english", avg_len=_AVERAGE_TERMS, ascii_folding=True))


@cache
def _russian() -> Bm25:
    return Bm25(Bm25Config(language="russian", avg_len=_AVERAGE_TERMS))


def _words(text: str) -> tuple[str, str]:
    """The text as the tokenizer can take it, without Cyrillic words; and those."""
    cut = spaced(text)
    cyrillic = " ".join(_CYRILLIC.findall(cut))
    return (_CYRILLIC.sub(" ", cut) if cyrillic else cut), cyrillic


def _pairs(run: re.Match[str]) -> str:
    """Every two letters that stand side by side, and each Chinese character too, because many are words."""
    letters = unicodedata.normalize("NFKC", run[0])
    if len(letters) == 1:
        return f" {letters} "
    pairs = [a + b for a, b in pairwise(letters)]
    return f" {' '.join([*pairs, *_IDEOGRAPH.findall(letters)])} "


@cache
def _marks() -> re.Pattern[str]:
    """Accents, vowel points, tones, viramas: what is written above or below letters, and often left out. (Signs beyond
    the first 65,536 would make the pattern some forty times slower.)"""
    signs = (chr(code) for code in range(0x300, 0x10000))
    combining = "".join(s for s in signs if unicodedata.combining(s) and s not in _LETTER_MAKING)
    return re.compile(f"[{_NO_LETTER}{combining}]+")
