"""Long texts in pieces that each make sense alone. Pure; lengths are in characters."""

import re

_BREAKS = (re.compile(r"\n\s*\n"), re.compile(r"\n"), re.compile(r"(?<=[.!?…。！？])\s*"), re.compile(r"\s+"))


def pieces(text: str, limit: int) -> list[str]:
    """Non-empty pieces of at most `limit` characters, cut at paragraphs, lines, sentences or words, in that order.

    Joined by what stood between them they give the text again; a word longer than `limit` is cut anywhere.
    """
    found = []
    rest = text.strip()
    while len(rest) > limit:
        cut = _last_break(rest, limit)
        found.append(rest[:cut].strip())
        rest = rest[cut:].strip()
    return [piece for piece in [*found, rest] if piece]


def _last_break(text: str, limit: int) -> int:
    """Where to cut: the latest break of the best kind in the second half of the first `limit` characters."""
    for kind in _BREAKS:
        ends = [m.end() for m in kind.finditer(text, limit // 2, limit) if m.end() > 0]
        if ends:
            return ends[-1]
    return limit
