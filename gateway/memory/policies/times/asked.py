"""What a question wants to know about time: something before or after an event, or the first or last of its kind. Never
sees a memory, so the event's date is for the caller to find.
"""

import math
import re
from dataclasses import dataclass
from typing import Literal

from gateway.memory.policies.times import periods
from gateway.memory.policies.times.dates import MONTHS, SEASONS
from gateway.memory.policies.times.periods import Period
from gateway.memory.policies.times.spans import spans
from gateway.memory.policies.times.words import COUNT, UNIT, WEEKDAY, compiled, counted, plain

_LONGEST = 4000  # characters


@dataclass(frozen=True, slots=True)
class Anchor:
    """A time told by its distance from an event: "two weeks before the trip". `event` is in the question's words; with
    an empty `unit` the distance is open, else it is `near` to `far` units."""

    direction: Literal["before", "after"]
    event: str
    unit: str = ""
    near: int = 0
    far: int = 0

    def around(self, start: float, end: float) -> tuple[float, float] | None:
        """The moments meant, if the event lasted from `start` up to `end` (seconds since the epoch, whole UTC days are
        counted); None where the calendar ends."""
        if not self.unit:
            return (-math.inf, start) if self.direction == "before" else (end, math.inf)
        first, last = periods.day_of(start), periods.day_of(max(start, end - 1))
        if first is None or last is None:
            return None
        side = -1 if self.direction == "before" else 1
        try:
            moved = periods.beside(Period(first, last.next_day()), self.unit, self.near, self.far, side)
        except (ValueError, OverflowError):
            return None
        return periods.seconds(moved.start), periods.seconds(moved.end)


def anchor(question: str) -> Anchor | None:
    """The event from which a question counts, if it does: the first one named. None for what counts from a time that
    `spans` resolves, as in "before 3 May"."""
    text = plain(question[:_LONGEST])
    for match in _ANCHOR.finditer(text):
        event = " ".join(question[match.start("event") : match.end("event")].split())
        if event and not _NO_EVENT.fullmatch(event.lower()) and not _means_otherwise(question, match):
            direction: Literal["before", "after"] = "before" if match["side"][0] in "bp" else "after"
            unit = match["unit"]
            return Anchor(direction, event, unit, *counted(match)) if unit else Anchor(direction, event)
    return None


def _means_otherwise(text: str, match: re.Match[str]) -> bool:
    """ "Look after", "following dreams", or part of a time such as "before 3 May", which is one on any day."""
    place = match.start("side")
    if match["side"] == "following" and not match["unit"] and place > 0:
        return True
    words = text[max(place - 12, 0) : place].lower().split()
    if words and words[-1] in _OTHER_SENSE:
        return True
    return any(span.left <= place < span.right for span in spans(text, 0.0))


def order(question: str) -> Literal["first", "last", ""]:
    """Whether a question asks for the "first" of several things or times, or for the "last". "Last Tuesday", "my last
    name" and "how long did it last" do not."""
    text = plain(question[:_LONGEST])
    first, last = _FIRST.search(text), None if _LASTS.search(text) else _LAST.search(text)
    if first and (not last or first.start() <= last.start()):
        return "first"
    return "last" if last else ""


_LOOK_AFTER = "look looks looked looking named take takes took taken taking ever go goes going ask asked run the these"
_OTHER_SENSE = frozenset(_LOOK_AFTER.split())
_ANCHOR = compiled(
    rf"(?:\b(?:(?:about |around |exactly )?{COUNT} |the )?{UNIT} )?\b(?P<side>before|after|prior to|following|since)\b"
    r"(?P<event>.*?)(?=[?.,;:!\n]|\Z|\b(?:what|who|where|when|which|how|why|did (?:i|we|you|he|she|it|they))\b)"
)
_NO_EVENT = compiled(
    r"all|long|then|that|this|it|them|me|him|her|us|you|now|a long time|a while|noon|midnight|work|bed|(?:and|or)\b.*"
    r"|[0-9:]*\s*(?:[ap]m)?"
)

_WHOSE = r"\b(?:the|my|our|his|her|their|your|\w+'s)(?: very)?"
_DID = r"\b(?:did|do|does|was|were|have|has|had)\b[^?.!]{1,60}?"
_COUNTED = "few|couple|several|two|three|four|five|six|seven|eight|nine|ten|[0-9]+"
_TIME = rf"(?:day|weekend|week|month|season|year)s?|night|{WEEKDAY}|{'|'.join([*SEASONS.split(), *MONTHS.split()])}"
_NO_FIRST = (
    "names?|aid|class|floor|grade|lady|language|person|hand|half|place|cousins?|sight|glance|and (?:foremost|second)"
    rf"|(?:{_COUNTED}|{_TIME})\b"
)
_NO_LAST = rf"names?|minute|resort|straw|long|for|until|but|(?:{_COUNTED}|{_TIME})\b"
_FIRST = compiled(
    rf"(?:{_WHOSE}|{_DID}) first\b(?! (?:{_NO_FIRST}))|\bfirst (?:time|thing)\b|\bfirst(?=\s*(?:[?,]|\Z))|\bearliest\b"
    r"|\b(?:initially|originally|to begin with)\b|\bat first\b(?! (?:sight|glance))"
)
_LAST = compiled(
    rf"(?:{_WHOSE}|{_DID}) last\b(?! (?:{_NO_LAST}))|\blast (?:time|thing)\b"
    r"|\bmost recent(?:ly)?\b|\b(?:latest|newest)\b"
)
_LASTS = compiled(r"\bhow long\b.*\blast\b")
