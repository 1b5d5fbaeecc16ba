"""The English of times: units, counts, tense, and the parts of patterns that several rules share. Knows no calendar."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from whenever import Date

from gateway.memory.policies.times.periods import WEEKDAYS, Period

_NUMBERS = "one two three four five six seven eight nine ten eleven twelve fifteen twenty thirty"
_WORDS = _NUMBERS.split()
_COUNTS = {"a": 1, "an": 1, "fifteen": 15, "twenty": 20, "thirty": 30} | {w: n for n, w in enumerate(_WORDS[:12], 1)}
_VAGUE = {"few": (2, 5), "couple": (2, 3), "several": (3, 8)}

WEEKDAY = "|".join(WEEKDAYS)
UNIT = f"(?P<unit>day|weekend|week|month|year|{WEEKDAY})s?"
COUNT = rf"(?P<n>[0-9]{{1,3}}|(?:a )?(?:few|couple(?: of)?)|several|an?|{'|'.join(_WORDS)})"
UPTO = rf"(?:(?: or | to |-|–)(?P<m>[0-9]{{1,3}}|{'|'.join(_WORDS)}))?"

_AHEAD = r"(?<!\w)(?:will|going to|gonna|plans?|planning|upcoming|coming|can't wait|scheduled|due|soon|won't)\b|'ll\b"
_BEGUN = r"\b(?:did|was|were|had|went|been|got|took|made|saw|said|told|met|came|won|\w\w+ed)\b"
_ENDS = ".?!\n"  # of sentences
_SENTENCE = 160  # characters on either side; a longer sentence is no bound to go by
_LOOK_BACK = 40  # characters
_TO_SPACES = bytes(byte if chr(byte).isalnum() and byte < 128 else 32 for byte in range(256))

DAYS = " ".join(WEEKDAYS)
NUMBERS = f"{_NUMBERS} few couple several {' '.join(map(str, range(1000)))}"
UNITS = f"day days week weeks weekend weekends month months year years {DAYS}"


def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern in which a space stands for any white space. It is written for lower case: to ignore case is slow."""
    return re.compile(pattern.replace(" ", r"\s+"))


def plain(text: str) -> str:
    """In lower case and with straight apostrophes, every character in its place."""
    straight = text.replace("’", "'")
    lower = straight.lower()
    return lower if len(lower) == len(text) else "".join(c.lower() if c.isascii() else c for c in straight)


_TENSES = compiled(rf"(?P<ahead>{_AHEAD})|{_BEGUN}")


def counted(match: re.Match[str]) -> tuple[int, int]:
    """Least and most that a match of COUNT, and UPTO, can mean: "a few" is no exact number. No count at all is one."""
    told = match["n"] or "a"
    for word, vague in _VAGUE.items():
        if word in told:
            return vague
    upto = match.groupdict().get("m") or told
    low, high = (_COUNTS.get(word) or int(word) for word in (told, upto))
    return min(low, high), max(low, high)


@dataclass(frozen=True, slots=True)
class Said:
    """A text, `plain` and as it was written, and the UTC day on which it was said."""

    text: str
    written: str
    day: Date

    def tense(self, match: re.Match[str]) -> str:
        """As `yearly` wants it: does the match's sentence speak of what is not "over", of what has "begun", or does
        it not tell? The last verb before the match decides, or else the first one after it."""
        start, end = match.span()
        far = max(start - _SENTENCE, 0)
        left = max(far, *(self.text.rfind(mark, far, start) + 1 for mark in _ENDS))
        stops = [self.text.find(mark, end, end + _SENTENCE) for mark in _ENDS]
        right = min((stop for stop in stops if stop >= 0), default=end + _SENTENCE)
        verbs = [*_TENSES.finditer(self.text, left, start)][-1:] or [*_TENSES.finditer(self.text, end, right)][:1]
        return "" if not verbs else "over" if verbs[0]["ahead"] else "begun"

    def capital(self, match: re.Match[str], group: str) -> bool:
        """Whether a group of the match was written with a capital."""
        return self.written[match.start(group)].isupper()

    def led(self, match: re.Match[str], by: re.Pattern[str]) -> bool:
        """Whether a pattern that ends in \\Z stands right before the match."""
        return bool(by.search(self.text[max(match.start() - _LOOK_BACK, 0) : match.start()]))


Cues = tuple[frozenset[bytes], ...]
Rule = tuple[Cues, re.Pattern[str], Callable[[re.Match[str], Said], Period | None]]
"""Cues; what to look for in plain text; which days a match means: None for no time, ValueError where the calendar has
no such day. A text is read only if it has a word of every set of cues, the rarest first: to look at words is cheap."""


def cues(*words: str) -> Cues:
    """One set for each string of words."""
    return tuple(frozenset(group.encode().split()) for group in words)


def words(text: str) -> frozenset[bytes]:
    """Runs of ASCII letters and digits."""
    return frozenset(text.encode("ascii", "replace").translate(_TO_SPACES).split())
