"""A text in fewer words, by its own sentences: what stands in for a model that is not there. Pure."""

import math
import re
from collections import Counter
from collections.abc import Iterable

_SENTENCES = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])\s*|\n+")  # 3.14 ends no sentence
_WORDS = re.compile(r"\w+")


def extract(text: str, limit: int) -> str:
    """The sentences that hold most of a text's rarer words, in their order, in at most `limit` words."""
    sentences = [*dict.fromkeys(_sentences(text))]
    said = [[word.casefold() for word in _WORDS.findall(sentence)] for sentence in sentences]
    often = Counter(word for words in said for word in set(words))

    def worth(at: int) -> float:
        words = set(said[at])
        rare = sum(math.log(1 + len(said) / often[word]) for word in words if len(word) > 2 or word.isdigit())
        return rare / math.sqrt(len(said[at]) or 1)

    kept, left = set(), limit
    for at in sorted(range(len(sentences)), key=lambda at: (-worth(at), at)):
        length = max(len(said[at]), len(sentences[at].split()))  # a dash among blanks is a word to some
        if length <= left:
            kept.add(at)
            left -= length
    return " ".join(sentences[at] for at in sorted(kept)) or " ".join(text.split()[:limit])


def without(text: str, others: Iterable[str]) -> str:
    """The sentences of a text that none of the others holds, whatever the marks between the words; in their order."""
    held = {_plain(sentence) for other in others for sentence in _sentences(other)}
    return " ".join(sentence for sentence in _sentences(text) if _plain(sentence) not in held)


def _sentences(text: str) -> list[str]:
    return [sentence.strip() for sentence in _SENTENCES.split(text) if sentence.strip()]


def _plain(sentence: str) -> str:
    return " ".join(_WORDS.findall(sentence.casefold())) or sentence
