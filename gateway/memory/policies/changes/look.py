"""A first look at texts, to spare the close reading of most: words at once, how they stand when somebody asks. Pure.

A yes may be wrong, the close reading tells. A no is meant to be right; what it misses stays unmarked.
"""

import re
from functools import cached_property
from itertools import islice

from gateway.memory.policies.changes import english
from gateway.memory.policies.changes.statements import Statement, speaker, statements

_LIVE, _WORK, _CALL, _STANCE, _NOT, _MARK, _BE, _COUNT, _STATE, _CUE, _OVER, _CHANGE = (1 << n for n in range(12))
_LONGEST, _MOST = 2000, 8  # characters and statements that are read of a text: comparing is every one with every other
_SIGNS = (".", ",", "!", "?", ":", ";", '"', "(", ")")
_AROUND, _STUB = 60, 4  # characters
_DIGIT = re.compile(r"\d")
_SHAPES = {
    _LIVE: re.compile(r"\b(?:live|lives|living|moved|relocated|based|resides?),?(?: \w+)? (?:in|at|on|near|to)\b"),
    _WORK: re.compile(r"\b(?:works?|working|started)(?: \w+)? (?:at|for|with|in|as)\b"),
    _CALL: re.compile(r"\b(?:call me|go by)\b"),
    _NOT: re.compile(
        r"(?:n[o'’]t|never)(?: \w+)? (?:like|love|enjoy|adore|prefer|eat|drink|play|use|smoke|drive|allergic|afraid"
        r"|scared|intolerant|interested|keen)\b|\b(?:hates?|dislikes?)\b"
    ),
    _OVER: re.compile(
        r"\b(?:no longer|used to|any ?more|any longer|instead of|rather than|(?:switched|changed|moved) from|quit"
        r"|stopped|g[ai]ven? up|left|sold|cancell?ed)\b"
    ),
    _COUNT: re.compile(
        r"\b(?:is|are|am|have|has|owns?|weighs?|costs?|takes?|pays?|i'm|we're|i've|we've) (?:[\w']+ ){0,2}?"
        r"(?:\d|(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)\b)"
    ),
    _BE: re.compile(r"\b(?:my|our|the) (?:[\w'’]+ ){1,5}?(?:is|are)\b"),
}


class Look:
    """A text, looked at only as closely as somebody asks."""

    def __init__(self, text: str) -> None:
        self._text = text[:_LONGEST]
        self.speaker = speaker(text)
        self.words = _glance(self._text)

    def may_touch_words(self, older: int) -> bool:
        """Whether a close reading of this text and of one with the older one's `words` could find that this one takes
        something back."""
        return bool(self.words) and _may(self.words, older)

    def touches(self, older: "Look") -> bool:
        """The same after a closer look at both."""
        ended = self._shapes & _OVER and self._ended & older._told
        return _may(self._shapes if ended else self._shapes & ~_OVER, older._shapes)

    @cached_property
    def statements(self) -> tuple[Statement, ...]:
        """What the text states, read closely."""
        return tuple(islice(statements(self._text), _MOST))

    @cached_property
    def _shapes(self) -> int:
        """The bits of the words, less those whose words do not stand as they would have to."""
        low = self._text.lower()
        return self.words & ~sum(bit for bit, shape in _SHAPES.items() if self.words & bit and not shape.search(low))

    @cached_property
    def _ended(self) -> frozenset[str]:
        """Beginnings of the words around what says that something is over."""
        low = self._text.lower()
        found = _SHAPES[_OVER].search(low)
        return _beginnings(low[max(found.start() - _AROUND, 0) : found.end() + _AROUND]) if found else frozenset()

    @cached_property
    def _told(self) -> frozenset[str]:
        """Beginnings of the words by which something of this text could be said to be over."""
        return _beginnings(self._text.lower())


def _bits() -> dict[str, int]:
    """Word → what a text that holds it may be read for."""
    lists = (
        *((bit, english.SYNONYMS[verb]) for bit, verb in ((_LIVE, "live"), (_WORK, "work"), (_CALL, "call"))),
        *((_STANCE, english.SYNONYMS[verb]) for verb in english.STANCES - {"be"}),
        *((_COUNT, english.SYNONYMS[verb]) for verb in english.COUNTED),
        *((_STATE, states) for states in english.STATES),
        (_STANCE, english.FEELINGS),
        (_NOT, english.NEGATIONS | english.DISLIKES),
        (_NOT, frozenset(f"{verb}n't" for verb in ("do", "does", "is", "are", "ca", "wo"))),
        (_MARK, english.MARKS | frozenset(f"{mark}s" for mark in english.MARKS)),
        (_BE, english.SYNONYMS["be"]),
        (_COUNT, frozenset({"i'm", "we're", "i've", "we've"})),
        (_CUE, english.CUES | english.ONE | english.FAVOURITE | frozenset({"new", "these", "turns", "turned"})),
        (_OVER, english.ENDINGS),
        (_CHANGE, english.SYNONYMS["change"]),
        (_LIVE, frozenset({"moved"})),
    )
    bits: dict[str, int] = {}
    for bit, words in lists:
        for word in words:
            bits[word] = bits.get(word, 0) | bit
    return bits


_BITS = _bits()


def _glance(text: str) -> int:
    """What a text may be read for, by its words."""
    bits = _MARK if _DIGIT.search(text) else 0
    for word in _BITS.keys() & _spaced(text.lower()).split():
        bits |= _BITS[word]
    return bits if bits & _MARK else bits & ~_COUNT


def _beginnings(low: str) -> frozenset[str]:
    """The first letters of a text's words, less those that say nothing; other forms of a word begin like it."""
    return frozenset(word[:_STUB] for word in _spaced(low).split() if word not in english.EMPTY)


def _spaced(low: str) -> str:
    for sign in _SIGNS:
        low = low.replace(sign, " ")
    return low


def _may(newer: int, older: int) -> bool:
    """Whether a closer look could find a change: the same for words and for how they stand."""
    both, either = newer & older, newer | older
    return bool(
        both & (_LIVE | _WORK | _CALL | _STATE)
        or newer & _OVER
        or (both & _STANCE and either & _NOT)
        or (both & _MARK and (newer & _CUE or both & _COUNT))
        or (both & _BE and newer & _CUE)
        or (older & _BE and newer & _CHANGE)
    )
