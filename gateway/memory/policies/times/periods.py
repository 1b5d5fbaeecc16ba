"""Days, weeks, months, seasons and years as half-open runs of days. Never knows English, hours, or what day it is.

How long a month is, and where a leap day falls, is the date library's part. Every function raises ValueError where the
calendar has no such day (31 April, the year 10000).
"""

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

from whenever import Date, Weekday

_EPOCH = Date(1970, 1, 1)
_DAY = 86_400
_SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}  # first months, as meteorologists count
_LEAP_CYCLE = 8  # within so many years every day of the calendar occurs
_LONG_AGO = 275  # days; what was over by then, and is not said to be past, is rather meant to come
WEEKDAYS = {day.name.lower(): day for day in Weekday}


class Period(NamedTuple):
    """From the first day to the one after the last. Date.MIN and Date.MAX stand for no bound."""

    start: Date
    end: Date


def day_of(at: float) -> Date | None:
    """The UTC day of a moment in seconds since the epoch; None for what is no moment of the years 1 to 9999."""
    try:
        return _EPOCH.add(days=math.floor(at / _DAY))
    except (ValueError, OverflowError):
        return None


def seconds(day: Date) -> float:
    """When a day begins in UTC, in seconds since the epoch; infinite for no bound."""
    if day in (Date.MIN, Date.MAX):
        return math.inf if day == Date.MAX else -math.inf
    return day.since(_EPOCH, total="days") * _DAY


def whole(unit: str, day: Date) -> Period:
    """The day, week (from Monday), weekend of that week, month or year that `day` lies in."""
    if unit == "day":
        return Period(day, day.next_day())
    if unit == "month":
        start = day.start_of("month")
        return Period(start, start.add(months=1))
    if unit == "year":
        start = day.start_of("year")
        return Period(start, start.add(years=1))
    monday = day.start_of("week_mon")
    return Period(monday.add(days=5 if unit == "weekend" else 0), monday.add(days=7))


def shifted(day: Date, unit: str, count: int) -> Date:
    """`count` units later (earlier if negative); the last day of a month stays in its month."""
    if unit == "month":
        return day.add(months=count)
    if unit == "year":
        return day.add(years=count)
    return day.add(days=count if unit == "day" else 7 * count)


def away(day: Date, unit: str, count: int) -> Period:
    """What people mean by `count` units from a day: a day exactly, a week give or take, a month or year as a whole;
    of weekends and of a weekday's name that which is `count` further on."""
    if unit in WEEKDAYS:
        return whole("day", day.nth_weekday(count, WEEKDAYS[unit]))
    moved = shifted(day, unit, count)
    return Period(moved.add(days=-3), moved.add(days=4)) if unit == "week" else whole(unit, moved)


def reach(day: Date, unit: str, one: int, other: int) -> Period:
    """All between `one` and `other` units from a day."""
    ends = [away(day, unit, one), away(day, unit, other)]
    return Period(min(p.start for p in ends), max(p.end for p in ends))


def season(name: str, year: int) -> Period:
    """Three months of the northern half of the earth; a winter bears the year in which it begins."""
    start = Date(year, _SEASONS[name], 1)
    return Period(start, start.add(months=3))


def third(period: Period, which: int) -> Period:
    """The first (0), middle (1) or last (2) third, in whole days."""
    days = int(period.start.until(period.end, total="days"))
    cuts = [period.start.add(days=round(days * n / 3)) for n in (0, 1, 2, 3)]
    return Period(cuts[which], cuts[which + 1]) if days >= 3 else period


def nth(period: Period, unit: str, n: int) -> Period:
    """The n-th (1 …, or -1 for the last) day, week, weekend or weekday of a period. Weeks count from its first day."""
    if unit in ("day", "week"):
        days = 1 if unit == "day" else 7
        start = period.start.add(days=days * (n - 1)) if n > 0 else period.end.add(days=-days)
        found = Period(start, start.add(days=days))
    else:
        name = WEEKDAYS["saturday" if unit == "weekend" else unit]
        start = period.start.prev_day().nth_weekday(n, name) if n > 0 else period.end.nth_weekday(n, name)
        found = Period(start, start.add(days=2 if unit == "weekend" else 1))
    if not period.start <= found.start < period.end:
        raise ValueError(f"no {unit} {n} in it")
    return found


def beside(period: Period, unit: str, near: int, far: int, side: int) -> Period:
    """What lies `near` to `far` units before (side -1) or after (1) a period. One week, month or year is the one that
    touches it."""
    edge = period.start if side < 0 else period.end.prev_day()
    if near == far == 1 and unit in ("week", "month", "year"):
        other = shifted(period.start if side < 0 else period.end, unit, side)
        return Period(other, period.start) if side < 0 else Period(period.end, other)
    if unit == "weekend":
        edge, unit = edge.add(days=-1 if edge.day_of_week() == Weekday.SUNDAY else 0), "saturday"
        first = reach(edge, unit, side * near, side * far)
        return Period(first.start, first.end.next_day())
    return reach(edge, unit, side * near, side * far)


def yearly(day: Date, of: Callable[[int], Period], which: str) -> Period:
    """Which year's, of what comes once a year: the "last" to be over by `day`, the last to have "begun", the first not
    to be "over", the "next" to begin, or "this" year's. Said with none of these ("") it is the last to have begun, or
    the next if that one is long over."""
    back, on = range(day.year, day.year - _LEAP_CYCLE - 1, -1), range(day.year - 1, day.year + _LEAP_CYCLE + 1)
    if which == "last":
        return _first(of, back, lambda period: period.end <= day)
    if which == "next":
        return _first(of, on, lambda period: period.start > day)
    begun = _first(of, back, lambda period: period.start <= day)
    if which == "this":
        return begun if day < begun.end else of(day.year)
    if which == "begun" or (which == "" and begun.end >= day.add(days=-_LONG_AGO)):
        return begun
    return _first(of, on, lambda period: period.end > day)


def _first(of: Callable[[int], Period], years: Iterable[int], fits: Callable[[Period], bool]) -> Period:
    for year in years:
        try:
            period = of(year)
        except ValueError:  # the 29th of February of most years
            continue
        if fits(period):
            return period
    raise ValueError("never")
