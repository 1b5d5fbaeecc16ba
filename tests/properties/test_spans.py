"""Times in texts that nobody would think of, said at any moment."""

import math
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.memory.policies.times import anchor, order, spans
from tests.properties.bodies import TEXT

DAY = 86_400
VOCABULARY = (
    "yesterday today tonight tomorrow the last this next past coming early late mid end of beginning in on at for since"
    " before after until between from to and or ago back now week weeks weekend month months year years day days Monday"
    " friday Sat Tues May may march February 29 31 31st 5th 2nd 1 2 3 10 999 first second few a couple of several two"
    " summer winter fall 2023 2024 1900 2099 2023-02-29 31/12/2023 will did been going is 's .  , ? - – \n trip what"
)
TEXTS = st.lists(st.sampled_from(VOCABULARY.split(" ")) | TEXT, max_size=14).map(" ".join)
MOMENTS = st.one_of(
    st.floats(),
    st.floats(-7e10, 3e11),
    st.datetimes().map(lambda moment: moment.replace(tzinfo=UTC).timestamp()),
    st.sampled_from([-62_135_596_800.0, -62_135_596_801.0, 253_402_300_799.0, 253_402_300_800.0, 1e12, math.nan]),
)
DATES = st.dates(date(1900, 1, 1), date(2099, 12, 31))


def midnight(day: date) -> float:
    """The beginning of a day in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


@given(TEXTS, MOMENTS)
@example("the day before yesterday before 1 January", -62_135_596_800.0)
@example("999 years ago in 999 years from now next year", 253_402_300_799.0)
def test_spans_are_in_order_and_not_empty(text: str, at: float) -> None:
    """Whatever the text and the moment: nothing is raised, nothing overlaps, every bound is the turn of a day."""
    place = 0
    for span in spans(text, at):
        assert place <= span.left < span.right <= len(text)
        assert span.start < span.end
        assert all(math.isinf(moment) or moment % DAY == 0 for moment in (span.start, span.end))
        place = span.right


@given(TEXTS, st.floats(-6e10, 2.5e11), st.floats(0, DAY - 1))
def test_the_time_of_day_does_not_matter(text: str, at: float, later: float) -> None:
    """A text means the same days all day long."""
    morning = at // DAY * DAY

    assert spans(text, morning) == spans(text, morning + later)


@given(DATES, MOMENTS.filter(lambda at: -6e10 < at < 2.5e11))
@pytest.mark.parametrize("form", ["%d %B %Y", "%B %d, %Y", "%Y-%m-%d", "on the %dth of %b %Y", "%Y/%m/%d"])
def test_a_full_date_is_that_day(form: str, day: date, at: float) -> None:
    """However it is written, and whenever it is said."""
    found = spans(day.strftime(form), at)

    assert [(span.start, span.end) for span in found] == [(midnight(day), midnight(day) + DAY)]


@given(DATES, st.integers(1, 999))
def test_days_ago_are_counted(day: date, count: int) -> None:
    """Over leap days and turns of the year."""
    then = midnight(day - timedelta(days=count))

    assert [(s.start, s.end) for s in spans(f"{count} days ago", midnight(day))] == [(then, then + DAY)]


@given(DATES, st.sampled_from(["last week", "last month", "last year", "last summer", "last May", "last Friday"]))
def test_what_is_last_is_over(day: date, text: str) -> None:
    """Before the day on which it is said begins, and not longer ago than two years."""
    (found,) = spans(text, midnight(day))

    assert midnight(day) - 2 * 366 * DAY < found.start < found.end <= midnight(day)


@given(DATES, st.sampled_from(["next week", "next month", "next year", "next summer", "next May", "next Friday"]))
def test_what_is_next_has_not_begun(day: date, text: str) -> None:
    """When the day on which it is said ends, and is not further off than two years."""
    (found,) = spans(text, midnight(day))

    assert midnight(day) + DAY <= found.start < found.end < midnight(day) + 2 * 366 * DAY


@given(TEXTS, MOMENTS, MOMENTS)
def test_any_question_can_be_asked(text: str, start: float, end: float) -> None:
    """For its order and its anchor, whose days come before or after those of the event."""
    assert order(text) in ("first", "last", "")
    found = anchor(text)
    moments = found.around(start, max(start, end)) if found else None
    if found and moments and not math.isnan(start + end):
        assert moments[0] <= moments[1]
