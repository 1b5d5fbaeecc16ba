"""A text in fewer words, by its own sentences: what stands in for a model that is not there. Pure."""

import math
import re
from collections import Counter

_SENTENCES = re.compile(r"(?<=[.!?…。！？])\s*|\n+")
_WORDS = re.compile(r"\w+")


def extract(text: str, limit: int) -> str:
    """The sentences that hold most of a text's rarer words, in their order, in at most `limit` words."""
    sentences = [*dict.fromkeys(sentence.strip() for sentence in _SENTENCES.split(text) if sentence.strip())]
    said = [[word.casefold() for word in _WORDS.findall(sentence)] for sentence in sentences]
    often = Counter(word for words in said for word in set(words))

    def worth(at: int) -> float:
        words = set(said[at])
        rare = sum(math.log(1 + len(said) / often[word]) for word in words if len(word) > 2 or word.isdigit())
        return rare / math.sqrt(len(said[at]) or 1)

    kept, left = set(), limit
    for at in sorted(range(len(sentences)), key=lambda at: (-worth(at), at)):
        if len(said[at]) <= left:
            kept.add(at)
            left -= len(said[at])
    return " ".join(sentences[at] for at in sorted(kept)) or " ".join(text.split()[:limit])
