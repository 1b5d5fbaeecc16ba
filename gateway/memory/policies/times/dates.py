"""Times that the calendar names: "7 May 2023", "in June", "summer of 2022", "in 2019". Never knows the clock."""

import re
from collections.abc import Callable

from whenever import Date

from gateway.memory.policies.times import periods
from gateway.memory.policies.times.periods import Period, whole, yearly
from gateway.memory.policies.times.words import Rule, Said, compiled, cues

_NAMES = "january february march april may june july august september october november december"
_MONTHS = _NAMES.split()
_NUMBERS = {month[:3]: n for n, month in enumerate(_MONTHS, 1)}
_OFTEN_NO_MONTH = frozenset({"march", "april", "may", "june", "august"})  # also verbs, adjectives and first names

MONTHS = f"{_NAMES} {' '.join(_NUMBERS)} sept"
SEASONS = "spring summer autumn fall winter"
SEASON = "(?P<season>spring|summer|autumn|fall|winter)"
MONTH = rf"(?P<month>{'|'.join(_MONTHS)}|(?:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\b\.?)"
_D = r"(?P<d>[0-3]?[0-9])(?![0-9])(?P<th>st|nd|rd|th)?"
_E = r"(?:(?: to | and | - | – |-|–)(?P<e>[0-3]?[0-9])(?![0-9])(?:st|nd|rd|th)?)?"
_YEAR = r"(?:(?P<y>(?:19|20)[0-9]{2})(?![0-9]|[.,:/-][0-9])|(?P<rel>last|this|next) year\b)"
_TO = r"\s*(?:to|until|till|through|-|–)\s*"
_NO_START = r"(?<![\w.,:/$€£-])"

_LEADS_MONTH = re.compile(
    r"\b(?:in|since|until|till|by|before|after|during|of|between|early|late|mid)[\s-]+\Z"
    rf"|\b(?:{'|'.join(_MONTHS)}){_TO}\Z|\b(?:in|during|of|between|since)\s+(?:{'|'.join(_MONTHS)})\s+(?:and|or)\s+\Z"
)
_FOLLOWS_MONTH = re.compile(rf"{_TO}(?:early |late |mid-?)?(?:{'|'.join(_MONTHS)})\b")
_LEADS_YEAR = re.compile(
    r"\b(?:in|since|until|till|before|after|during|between|early|late|mid|year|(?:end|start|beginning) of)[\s-]+\Z"
    r"|\b(?:19|20)[0-9]{2}\s*(?:and|to|-|–)\s*\Z"
)
_FOLLOWS_YEAR = re.compile(r"\s*(?:and|to|-|–)\s*(?:19|20)[0-9]{2}\b")
_NEXT = "i|we|you|he|she|they|it|the|my|our|when|and|but|with|for|after|before|at|in|to"
CLAUSE_END = rf"(?=\s*(?:[-–.,!?;:)]|\Z)|\s+(?:{_NEXT})\b)"
_NO_YEAR = r"(?! (?:people|words|dollars|euros|miles|steps|calories|points|years|square|of (?!the))\b)"


def each_year(match: re.Match[str]) -> Callable[[int], Period]:
    """What a match's season, or month with or without days, is in any year."""
    told = match.groupdict()
    if told.get("season"):
        return lambda year: periods.season(match["season"], year)
    number = _NUMBERS[match["month"][:3]]
    if not told.get("d"):
        return lambda year: whole("month", Date(year, number, 1))
    first, last = int(match["d"]), int(match["e"] or match["d"])
    return lambda year: Period(Date(year, number, first), Date(year, number, last).next_day())


def _dated(match: re.Match[str], said: Said) -> Period:
    of = each_year(match)
    if match["rel"]:
        return of(said.day.year + {"last": -1, "this": 0, "next": 1}[match["rel"]])
    return of(int(match["y"])) if match["y"] else yearly(said.day, of, said.tense(match))


def _date(match: re.Match[str], said: Said) -> Period | None:
    verb = match["month"] in ("may", "march") and not said.capital(match, "month")
    return None if verb and not (match["th"] or match["y"] or match["rel"]) else _dated(match, said)


def _month(match: re.Match[str], said: Said) -> Period | None:
    name = match["month"]
    if not (match["y"] or match["rel"]):
        sure = said.capital(match, "month") and name not in _OFTEN_NO_MONTH
        follows = _FOLLOWS_MONTH.match(said.text, match.end())
        if name not in _MONTHS or not (sure or follows or said.led(match, _LEADS_MONTH)):
            return None
    return _dated(match, said)


def _season(match: re.Match[str], said: Said) -> Period:
    return yearly(said.day, each_year(match), said.tense(match))


def _day_of_month(match: re.Match[str], said: Said) -> Period:
    """Of this month or, if that has not begun and the sentence does not look ahead, of the one before."""
    number, tense = int(match["d"]), said.tense(match)
    month = said.day.start_of("month")
    if tense == "over" and number < said.day.day:
        month = month.add(months=1)
    elif tense != "over" and number > said.day.day:
        month = month.add(months=-1)
    return whole("day", month.replace(day=number))


def _year(match: re.Match[str], said: Said) -> Period | None:
    if said.led(match, _LEADS_YEAR) or _FOLLOWS_YEAR.match(said.text, match.end()):
        return whole("year", Date(int(match["year"]), 1, 1))
    return None


def _iso(match: re.Match[str], said: Said) -> Period:
    return whole("day", Date(int(match["year"]), int(match["b"]), int(match["a"])))


def _numeric(match: re.Match[str], said: Said) -> Period | None:
    a, b = int(match["a"]), int(match["b"])
    if a <= 12 and b <= 12 and a != b:
        return None  # the day and the month, or the month and the day?
    return whole("day", Date(int(match["year"]), min(a, b), max(a, b)))


_ORDINALS = "1st 2nd 3rd 21st 22nd 23rd 31st " + " ".join(f"{n}th" for n in range(4, 31))
_FOUR = r"(?P<year>(?:19|20)[0-9]{2})"
_A, _B = r"(?P<a>[0-3]?[0-9])", r"(?P<b>[0-3]?[0-9])"
_YEARS = " ".join(str(year) for year in range(1900, 2100))
RULES: tuple[Rule, ...] = (
    (cues(MONTHS), compiled(rf"{_NO_START}{_D}{_E}(?: of | |-){MONTH}\b(?:,?\s*(?:of )?{_YEAR})?"), _date),
    (cues(MONTHS), compiled(rf"\b{MONTH} (?:the )?{_D}{_E}(?![:.%][0-9]|%)\b(?:,?\s*(?:of )?{_YEAR})?"), _date),
    (cues(MONTHS), compiled(rf"\b{MONTH}(?!\w)(?! [0-3]?[0-9](?![0-9]))(?:,?\s*(?:of )?{_YEAR})?"), _month),
    (cues(SEASONS), compiled(rf"\b{SEASON}(?: of|,)? {_YEAR}"), _dated),
    (
        cues(SEASONS),
        compiled(rf"\b(?:in|over|during) the (?P<season>spring|summer|autumn|winter){CLAUSE_END}"),
        _season,
    ),
    (cues(_ORDINALS, "on"), compiled(rf"\bon the (?P<d>[0-3]?[0-9])(?:st|nd|rd|th){CLAUSE_END}"), _day_of_month),
    (cues(_YEARS), compiled(rf"\b{_FOUR}(?![0-9%]|[.,:/-][0-9]){_NO_YEAR}\b"), _year),
    (cues(_YEARS), compiled(rf"{_NO_START}{_FOUR}([-/.]){_B}\2{_A}(?![0-9]|[-/.][0-9])"), _iso),
    (cues(_YEARS), compiled(rf"{_NO_START}{_A}([-/.]){_B}\2{_FOUR}(?![\w/-])"), _numeric),
)
