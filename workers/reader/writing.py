"""The reader's tokens, and an answer cut to what was asked: stop strings and a length. Pure; never knows JSON or HTTP.

A token is a word of up to 16 characters or one punctuation mark, with the white space before it. Tokens tile the text:
joined, they are the text.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_TOKEN = re.compile(r"\s*(?:\w{1,16}|[^\w\s])|\s+")
_WORDS_PER_PIECE = 3


@dataclass(frozen=True, slots=True)
class Written:
    """Text as it is sent. `tokens` counts what was written, a stop string that was cut off included; `stopped` is the
    stop string that ended it."""

    text: str
    tokens: int
    finish: str
    stopped: str | None = None


def count(text: str) -> int:
    """How many tokens."""
    return sum(1 for _ in _TOKEN.finditer(text))


def write(text: str, limit: int, stop: Sequence[str], keep_stop: bool) -> Written:
    """The text up to the first stop string, or up to `limit` tokens (≥ 1), whichever comes first."""
    tokens = _TOKEN.findall(text)
    kept = "".join(tokens[:limit])
    if found := _first_stop(kept, stop):
        start, end, word = found
        return Written(kept[: end if keep_stop else start], count(kept[:end]), "stop", word)
    return Written(kept, min(limit, len(tokens)), "length" if len(tokens) > limit else "stop")


def pieces(text: str) -> Iterator[tuple[str, int]]:
    """The text in the pieces in which it is streamed, each with its number of tokens."""
    tokens = _TOKEN.findall(text)
    for start in range(0, len(tokens), _WORDS_PER_PIECE):
        piece = tokens[start : start + _WORDS_PER_PIECE]
        yield "".join(piece), len(piece)


def _first_stop(text: str, stop: Sequence[str]) -> tuple[int, int, str] | None:
    """(start, end, string) of the stop string that is complete first, as a model that writes on would see it."""
    places = [(start + len(word), start, word) for word in stop if (start := text.find(word)) >= 0]
    if not places:
        return None
    end, start, word = min(places)
    return start, end, word
