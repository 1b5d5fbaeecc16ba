"""Every time that a text names, as moments: single expressions, what stands before them ("since", "early", "the week
before"), and what joins two of them. Pure: the moment of speaking is given, and days are UTC days.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, ParamSpec

from whenever import Date

from gateway.memory.policies.times import dates, periods, relative
from gateway.memory.policies.times.periods import WEEKDAYS, Period
from gateway.memory.policies.times.words import COUNT, UNIT, WEEKDAY, Said, compiled, counted, plain, words

_P = ParamSpec("_P")

_LONGEST = 4000  # characters that are looked at; a longer text is no turn of a talk but a document
_MOST = 40  # times; a text that names more is a timetable
_DEEPEST = 3  # changes of one time
_LOOK_BACK = 48  # characters
_RULES = (*relative.RULES, *dates.RULES)
_CUES = frozenset[bytes]().union(*(cues[0] for cues, _, _ in _RULES))
_NTHS = {"first": 1, "1st": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "4th": 4, "last": -1}
_THIRDS = {"early": 0, "beginning": 0, "start": 0, "mid": 1, "middle": 1, "late": 2, "end": 2}


@dataclass(frozen=True, slots=True)
class Span:
    """A time that text[left:right] names, from `start` up to `end`: seconds since the epoch, infinite if it is open."""

    start: float
    end: float
    left: int
    right: int


class _Point(NamedTuple):
    """One time in the making. `yearless`: its year is a guess."""

    left: int
    right: int
    period: Period
    yearless: bool


def spans(text: str, at: float) -> tuple[Span, ...]:
    """The times that an English text names, in the order of the text and without overlap, given when it was said.

    `at` is in seconds since the epoch; outside the years 1 to 9999 nothing can be resolved. What is not surely a time,
    such as a day given as 05/07/2023 or a lone "may", is left out. Of several readings the past one is taken, unless
    the sentence speaks of what is to come.
    """
    lower = plain(text[:_LONGEST])
    told = words(lower)
    if _CUES.isdisjoint(told):
        return ()
    day = periods.day_of(at)
    if day is None:
        return ()
    said = Said(lower, text, day)
    found = _joined(lower, _modified(said, _apart(islice(_points(said, told), _MOST))))
    return tuple(Span(periods.seconds(p.period.start), periods.seconds(p.period.end), p.left, p.right) for p in found)


def _points(said: Said, told: frozenset[bytes]) -> Iterator[_Point]:
    for cues, pattern, resolve in _RULES:
        if told.isdisjoint(cues[0]) or any(told.isdisjoint(needed) for needed in cues[1:]):
            continue
        for match in pattern.finditer(said.text):
            period = _tried(resolve, match, said)
            if period:
                groups = match.groupdict()
                yearless = groups.get("y", "") is None and groups["rel"] is None
                yield _Point(match.start(), match.end(), period, yearless)


def _tried(resolve: Callable[_P, Period | None], *args: _P.args, **kwargs: _P.kwargs) -> Period | None:
    """None too for what the calendar does not have, such as the 31st of April, or a day beyond its ends."""
    try:
        period = resolve(*args, **kwargs)
    except (ValueError, OverflowError):
        return None
    return period if period and period.start < period.end else None


def _apart(points: Iterable[_Point]) -> list[_Point]:
    """Without overlap: what begins first, and then what is longest, says most."""
    kept: list[_Point] = []
    for point in sorted(points, key=lambda p: (p.left, -p.right)):
        if not kept or point.left >= kept[-1].right:
            kept.append(point)
    return kept


def _modified(said: Said, points: list[_Point]) -> list[_Point]:
    """With what stands before them, inside out: "since early May" is first early, then since. "The Friday before 15
    July" is one time, and its Friday alone is none."""
    kept: list[_Point] = []
    for point in points:
        wider = point
        for _ in range(_DEEPEST):
            wider = _modify(said, wider)
        while kept and (kept[-1].right > wider.left or _doubled(said.text, kept[-1], wider)):
            kept.pop()
        kept.append(wider)
    return kept


def _modify(said: Said, point: _Point) -> _Point:
    """With the words right before it, if they change it."""
    before = said.text[max(point.left - _LOOK_BACK, 0) : point.left]
    lead = _ARTICLE.sub("", before).rstrip(" -\t\n")
    last = lead.rsplit(None, 1)[-1:]
    if not last or lead == before:
        return point
    for pattern, change in _MODIFIERS.get(last[0], ()):
        match = pattern.search(lead)
        period = _tried(change, match, point, said) if match else None
        if match and period:
            return point._replace(left=point.left - len(before) + match.start(), period=period)
    return point


def _doubled(text: str, one: _Point, other: _Point) -> bool:
    """ "Sunday, 5 May": the date says it all."""
    named = text[one.left : one.right] in WEEKDAYS
    dated = any(c.isdigit() for c in text[other.left : other.right])
    return named and dated and _COMMA.fullmatch(text, one.right, other.left) is not None


def _part(match: re.Match[str], point: _Point, said: Said) -> Period:
    return periods.third(point.period, _THIRDS[match["part"]])


def _nth(match: re.Match[str], point: _Point, said: Said) -> Period:
    return periods.nth(point.period, match["unit"], _NTHS[match["nth"]])


def _week_of(match: re.Match[str], point: _Point, said: Said) -> Period | None:
    one_day = point.period == periods.whole("day", point.period.start)
    return periods.whole("week", point.period.start) if one_day else None


def _beside(match: re.Match[str], point: _Point, said: Said) -> Period:
    back = match["side"].startswith(("before", "prior"))
    return periods.beside(point.period, match["unit"], *counted(match), side=-1 if back else 1)


def _open(match: re.Match[str], point: _Point, said: Said) -> Period | None:
    """Without end, or without beginning; "since" ends with the day of speaking."""
    start, end = point.period
    if Date.MIN in point.period or Date.MAX in point.period or said.text.startswith("'s", point.right):
        return None
    word = match["open"]
    if word == "since":
        return Period(start, said.day.next_day() if start <= said.day else Date.MAX)
    if word == "after":
        return Period(end, Date.MAX)
    return Period(Date.MIN, start if word.startswith(("before", "prior")) else end)


def _joined(text: str, points: list[_Point]) -> list[_Point]:
    """From one to the other, where two are joined."""
    kept: list[_Point] = []
    for point in points:
        both = _tried_join(text, kept[-1], point) if kept else None
        if both:
            kept[-1] = both
        else:
            kept.append(point)
    return kept


def _tried_join(text: str, one: _Point, other: _Point) -> _Point | None:
    gap = _JOIN.fullmatch(text, one.right, other.left)
    if not gap or (gap["word"] == "and" and not _BETWEEN.search(text, max(one.left - _LOOK_BACK, 0), one.left)):
        return None
    period = _tried(_bridge, one, other)
    return _Point(one.left, other.right, period, one.yearless and other.yearless) if period else None


def _bridge(one: _Point, other: _Point) -> Period:
    """A year that is not told is that of the other end, or the one that puts both in order."""
    (start, _), (_, end) = one.period, other.period
    if one.yearless and not other.yearless:
        start = start.add(years=end.year - start.year)
        start = start.add(years=-1 if start >= end else 0)
    elif other.yearless and end <= start:
        end = end.add(years=1)
    return Period(start, end)


_ARTICLE = re.compile(r"(?<=\s)the\s+\Z")
_COMMA = re.compile(r",?\s+(?:the\s+)?")
_BETWEEN = re.compile(r"\bbetween\s+(?:the\s+)?\Z")
_JOIN = re.compile(r"\s*(?P<word>-|–|\b(?:to|until|till|through|and)\b)\s*(?:the\s+)?")
_PART = compiled(r"\b(?:(?:the )?(?:very )?(?P<part>early|late|mid|beginning|start|middle|end))(?: of| in)?\Z")
_NTH = compiled(rf"\b(?:the )?(?P<nth>{'|'.join(_NTHS)}) (?P<unit>day|weekend|week|{WEEKDAY}) (?:of|in)\Z")
_WEEK_OF = compiled(r"\b(?:the )?week of\Z")
_BESIDE = compiled(rf"\b(?:the |(?:about |around )?{COUNT} )?{UNIT} (?P<side>before|after|prior to|following)\Z")
_OPEN = compiled(r"\b(?P<open>since|before|after|until|till|prior to)\Z")
Modifier = tuple[re.Pattern[str], Callable[[re.Match[str], _Point, Said], Period | None]]
_MODIFIERS: dict[str, tuple[Modifier, ...]] = {
    **dict.fromkeys(("early", "late", "mid"), ((_PART, _part),)),
    **dict.fromkeys(("of", "in"), ((_PART, _part), (_NTH, _nth), (_WEEK_OF, _week_of))),
    **dict.fromkeys(("before", "after", "to"), ((_BESIDE, _beside), (_OPEN, _open))),
    "following": ((_BESIDE, _beside),),
    **dict.fromkeys(("since", "until", "till"), ((_OPEN, _open),)),
}
