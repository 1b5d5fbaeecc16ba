"""Times that are counted from the day of speaking: "yesterday", "last May", "on Tuesday". Never knows the clock."""

import re

from whenever import Date

from gateway.memory.policies.times import periods
from gateway.memory.policies.times.dates import CLAUSE_END, MONTH, MONTHS, SEASON, SEASONS, each_year
from gateway.memory.policies.times.periods import WEEKDAYS, Period, whole, yearly
from gateway.memory.policies.times.words import (
    COUNT,
    DAYS,
    NUMBERS,
    UNIT,
    UNITS,
    UPTO,
    WEEKDAY,
    Rule,
    Said,
    compiled,
    counted,
    cues,
)

_STEP = {"last": -1, "past": -1, "this": 0, "next": 1, "coming": 1}
_TOO_NEAR = 2  # days
_NO_DATES = "every each other most any some a all or per black good fat ash happy casual lazy"
_NO_DATE = frozenset(_NO_DATES.split())
_LEADS_IN = compiled(r"(?:\b(?:is|are|starts?|begins?|leaves?|leaving|again|back)|'s) \Z")
_LEADS_SO_LONG = compiled(r"\b(?:'ve|have|has|'s) been\b[^.?!\n]*\Z")
_PARTS = "end start beginning middle rest"
_LEADS_PART = compiled(rf"\b(?:{'|'.join(_PARTS.split())}) of \Z")


def _near_day(match: re.Match[str], said: Said) -> Period:
    word = match["day"]
    step = -1 if word.startswith(("yesterday", "last")) else 1 if word == "tomorrow" else 0
    return whole("day", said.day.add(days=step))


def _named(match: re.Match[str], said: Said) -> Period | None:
    """Last, this or next something."""
    which, day = match["which"].split()[-1], said.day
    if match["season"] or match["month"]:
        if which == "this" and match["month"] in ("may", "march") and not said.capital(match, "month"):
            return None  # "this may be so"
        return yearly(day, each_year(match), {"past": "last", "coming": "next"}.get(which, which))
    unit = match["unit"]
    if unit in WEEKDAYS:
        found = _named_weekday(unit, which, day)
        return _week_back(found) if _is_gone(found, which, match, said) else found
    if unit == "weekend":
        found = whole(unit, day.add(days=0 if which == "coming" else 7 * _STEP[which]))
        return _week_back(found) if _is_gone(found, which, match, said) else found
    if which in ("past", "coming") or (match["the"] and which != "this"):
        return _window(day, unit, 1, ahead=_STEP[which] > 0)
    return whole(unit, periods.shifted(day, unit, _STEP[which]))


def _named_weekday(name: str, which: str, day: Date) -> Period:
    if which == "this":
        return periods.nth(whole("week", day), name, 1)
    if which == "next":  # nobody calls tomorrow next Tuesday
        return periods.away(day.add(days=_TOO_NEAR), name, 1)
    return periods.away(day, name, _STEP[which])


def _is_gone(found: Period, which: str, match: re.Match[str], said: Said) -> bool:
    """On a Monday, "this weekend I went out" is about the one before."""
    return which == "this" and found.start > said.day and said.tense(match) == "begun"


def _week_back(found: Period) -> Period:
    return Period(found.start.add(days=-7), found.end.add(days=-7))


def _window(day: Date, unit: str, count: int, *, ahead: bool) -> Period:
    """The `count` units up to a day, or from it on; the day itself is in both."""
    if ahead:
        return Period(day, periods.shifted(day, unit, count).next_day())
    return Period(periods.shifted(day, unit, -count), day.next_day())


def _in_week(match: re.Match[str], said: Said) -> Period:
    week = whole("week", said.day.add(days=7 * _STEP[match["which"]]))
    return periods.nth(week, match["unit"], 1)


def _before_last(match: re.Match[str], said: Said) -> Period:
    unit = match["unit"]
    return whole(unit, periods.shifted(said.day, unit, -2))


def _rest(match: re.Match[str], said: Said) -> Period:
    this = whole(match["unit"], said.day)
    if match["which"] == "earlier":
        return Period(this.start, said.day.next_day())
    return Period(said.day, this.end)


def _current(match: re.Match[str], said: Said) -> Period | None:
    return whole(match["unit"], said.day) if said.led(match, _LEADS_PART) else None


def _running(match: re.Match[str], said: Said) -> Period:
    return _window(said.day, match["unit"], counted(match)[1], ahead=_STEP[match["which"]] > 0)


def _ago(match: re.Match[str], said: Said) -> Period:
    near, far = counted(match)
    if match["more"]:
        far = max(far, near + 1)
    sign = 1 if match["way"].startswith("from") else -1
    return periods.reach(said.day, match["unit"], sign * near, sign * far)


def _in_time(match: re.Match[str], said: Said) -> Period | None:
    """What takes three weeks is done in three weeks too, so the sentence must look ahead."""
    if match["time"] or said.led(match, _LEADS_IN) or said.tense(match) == "over":
        return periods.reach(said.day, match["unit"], *counted(match))
    return None


def _so_long(match: re.Match[str], said: Said) -> Period | None:
    """What has gone on "for two years" began then."""
    if not (match["now"] or (match["for"] and said.led(match, _LEADS_SO_LONG))):
        return None
    near, far = counted(match)
    began = periods.reach(said.day, match["unit"], -near, -far)
    return Period(began.start, said.day.next_day())


def _other_day(match: re.Match[str], said: Said) -> Period:
    return Period(said.day.add(days=-7), said.day)


def _weekday(match: re.Match[str], said: Said) -> Period | None:
    words = said.text[max(match.start() - 12, 0) : match.start()].split()
    if words and words[-1] in _NO_DATE:
        return None
    name = next(name for name in WEEKDAYS if name.startswith(match["name"]))
    return periods.away(said.day, name, 1 if said.tense(match) == "over" else -1)


def _short_weekday(match: re.Match[str], said: Said) -> Period | None:
    if not said.capital(match, "name"):
        return None  # "on sun and sea"
    name = next(name for name in WEEKDAYS if name.startswith(match["name"]))
    return _named_weekday(name, match["which"], said.day) if match["which"] else _weekday(match, said)


def _weekend(match: re.Match[str], said: Said) -> Period:
    this = whole("weekend", said.day)
    gone = this.start > said.day and said.tense(match) != "over"
    return _week_back(this) if gone else this


_DAYS = "yesterday|today|tonight|tomorrow|last night|this (?:morning|afternoon|evening)"
_WHICH = "last|this past|this coming|this|next|coming|past"
_UNIT = f"weekend|week|month|year|{WEEKDAY}"
_SHORT = "mon|tues?|wed|thu(?:rs?)?|fri|sat|sun"
_ANY = r"(?: (?!last|this|next|past|coming)\w+){0,2}"
_WEEKEND = rf"(?:(?:over|on|at|for|during) the|(?:my|our|your|their|had an?){_ANY}) weekend"
RULES: tuple[Rule, ...] = (
    (
        cues("yesterday today tonight tomorrow night morning afternoon evening"),
        compiled(rf"\b(?P<day>{_DAYS})\b"),
        _near_day,
    ),
    (
        cues(f"week weekend month year {DAYS} {SEASONS} {MONTHS}", "last this next coming past"),
        compiled(rf"\b(?P<the>the )?(?P<which>{_WHICH}) (?:(?P<unit>{_UNIT})|{SEASON}|{MONTH})\b(?! of\b)"),
        _named,
    ),
    (cues(DAYS, "week"), compiled(rf"\b(?P<unit>{WEEKDAY}) (?:of )?(?P<which>last|this|next) week\b"), _in_week),
    (
        cues("weekend week month year", "before", "last"),
        compiled(r"\bthe (?P<unit>weekend|week|month|year) before last\b"),
        _before_last,
    ),
    (
        cues("week month year", "earlier later"),
        compiled(r"\b(?P<which>earlier|later) this (?P<unit>week|month|year)\b"),
        _rest,
    ),
    (
        cues("week month year", "of", "end start beginning middle rest"),
        compiled(r"\bthe (?P<unit>week|month|year)\b(?! of\b)"),
        _current,
    ),
    (
        cues(UNITS, "last past next coming", NUMBERS),
        compiled(rf"\b(?:(?:the|these|this) )?(?P<which>last|past|next|coming) {COUNT} {UNIT}\b"),
        _running,
    ),
    (
        cues(UNITS, "ago back from"),
        compiled(rf"\b{COUNT}{UPTO} {UNIT}(?P<more> or two| and a half)? (?P<way>ago|back|from now|from today)\b"),
        _ago,
    ),
    (cues(UNITS, "in"), compiled(rf"\bin (?:about |around )?{COUNT}{UPTO} {UNIT}(?P<time>'?s?'? time)?\b"), _in_time),
    (
        cues(UNITS, "been now"),
        compiled(rf"\b(?P<for>for (?:\w+ )?)?{COUNT}{UPTO} {UNIT}(?P<more> or two| and a half)?(?P<now> now)?\b"),
        _so_long,
    ),
    (cues("day", "other"), compiled(r"\bthe other day\b"), _other_day),
    (cues(DAYS), compiled(rf"\b(?P<name>{WEEKDAY})\b(?! school\b)"), _weekday),
    (
        cues("mon tue tues wed thu thur thurs fri sat sun"),
        compiled(rf"\b(?:(?P<which>last|this|next)|on) (?P<name>{_SHORT})\b"),
        _short_weekday,
    ),
    (cues("weekend"), compiled(rf"\b{_WEEKEND}{CLAUSE_END}"), _weekend),
)
