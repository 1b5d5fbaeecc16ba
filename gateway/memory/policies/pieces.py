"""Long texts in pieces that each make sense alone. Pure; lengths are in characters."""

import re

_SENTENCE = r"(?<=[.!?…])\s+|(?<=[。！？])\s*"  # some scripts put no space behind a sentence; 3.14 is none
_BREAKS = (re.compile(r"\n\s*\n"), re.compile(r"\n"), re.compile(_SENTENCE), re.compile(r"\s+"))


def pieces(text: str, limit: int) -> list[str]:
    """Non-empty pieces of at most `limit` characters, cut at paragraphs, lines, sentences or words, in that order.

    Joined by what stood between them they give the text again; a word longer than `limit` is cut anywhere.
    """
    found = []
    text, at = text.strip(), 0
    while len(text) - at > limit:
        cut = _last_break(text, at, limit)
        found.append(text[at:cut].strip())
        at = cut
    return [piece for piece in [*found, text[at:].strip()] if piece]


def _last_break(text: str, at: int, limit: int) -> int:
    """Where to cut: the latest break of the best kind in the second half of the `limit` characters from `at` on."""
    for kind in _BREAKS:
        ends = [m.end() for m in kind.finditer(text, at + limit // 2, at + limit)]
        if ends and ends[-1] > at:
            return ends[-1]
    return at + limit
