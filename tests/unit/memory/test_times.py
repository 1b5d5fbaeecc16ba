"""Times in English texts, resolved against a Monday in July 2023 unless a test says otherwise."""

import math
import time
from datetime import UTC, datetime

import pytest

from gateway.memory.policies.times import Anchor, anchor, order, spans


def at(day: str) -> float:
    """A moment in the afternoon of a day, in seconds since the epoch."""
    return datetime.fromisoformat(f"{day}T15:04:05+00:00").timestamp()


MONDAY = at("2023-07-17")


def told(text: str, said: float = MONDAY) -> list[str]:
    """What is found: the words, the first day and, unless it is the same, the last day."""
    return [f"{text[s.left : s.right]} = {_days(s.start, s.end)}" for s in spans(text, said)]


def _days(start: float, end: float) -> str:
    first, last = _day(start), _day(end - 86_400)
    return first if first == last else f"{first}/{last}"


def _day(moment: float) -> str:
    return "" if math.isinf(moment) else datetime.fromtimestamp(moment, UTC).date().isoformat()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I ran yesterday.", "yesterday = 2023-07-16"),
        ("Today I ran.", "Today = 2023-07-17"),
        ("What about tonight?", "tonight = 2023-07-17"),
        ("See you tomorrow!", "tomorrow = 2023-07-18"),
        ("We met last night", "last night = 2023-07-16"),
        ("the day before yesterday", "the day before yesterday = 2023-07-15"),
        ("the day after tomorrow", "the day after tomorrow = 2023-07-19"),
        ("the other day", "the other day = 2023-07-10/2023-07-16"),
    ],
)
def test_days_near_by(text: str, expected: str) -> None:
    """Are counted from the day of speaking."""
    assert told(text) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("last Tuesday", "last Tuesday = 2023-07-11"),
        ("last Mon", "last Mon = 2023-07-10"),
        ("this Friday", "this Friday = 2023-07-21"),
        ("We met this Friday", "this Friday = 2023-07-14"),
        ("next Tuesday", "next Tuesday = 2023-07-25"),
        ("next Saturday", "next Saturday = 2023-07-22"),
        ("Thursday last week", "Thursday last week = 2023-07-13"),
        ("last week", "last week = 2023-07-10/2023-07-16"),
        ("the week before last", "the week before last = 2023-07-03/2023-07-09"),
        ("next month", "next month = 2023-08-01/2023-08-31"),
        ("this year", "this year = 2023-01-01/2023-12-31"),
        ("last weekend", "last weekend = 2023-07-15/2023-07-16"),
        ("this weekend", "this weekend = 2023-07-22/2023-07-23"),
        ("this weekend we hiked", "this weekend = 2023-07-15/2023-07-16"),
        ("how was your weekend?", "your weekend = 2023-07-15/2023-07-16"),
        ("last May", "last May = 2023-05-01/2023-05-31"),
        ("next May", "next May = 2024-05-01/2024-05-31"),
        ("last summer", "last summer = 2022-06-01/2022-08-31"),
        ("last winter", "last winter = 2022-12-01/2023-02-28"),
        ("this summer", "this summer = 2023-06-01/2023-08-31"),
        ("earlier this month", "earlier this month = 2023-07-01/2023-07-17"),
        ("later this year", "later this year = 2023-07-17/2023-12-31"),
    ],
)
def test_last_this_and_next(text: str, expected: str) -> None:
    """Of weekdays, weeks, weekends, months, years and seasons; tomorrow is never "next Tuesday"."""
    assert told(text) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("three days ago", "three days ago = 2023-07-14"),
        ("2 weeks ago", "2 weeks ago = 2023-06-30/2023-07-06"),
        ("two weekends ago", "two weekends ago = 2023-07-08/2023-07-09"),
        ("a month ago", "a month ago = 2023-06-01/2023-06-30"),
        ("ten years ago", "ten years ago = 2013-01-01/2013-12-31"),
        ("a few days ago", "a few days ago = 2023-07-12/2023-07-15"),
        ("a couple of years back", "a couple of years back = 2020-01-01/2021-12-31"),
        ("a week or two ago", "a week or two ago = 2023-06-30/2023-07-13"),
        ("2-3 months ago", "2-3 months ago = 2023-04-01/2023-05-31"),
        ("the last two weeks", "the last two weeks = 2023-07-03/2023-07-17"),
        ("over the past year", "the past year = 2022-07-17/2023-07-17"),
        ("We'll move in two days", "in two days = 2023-07-19"),
        ("It is in two weeks' time", "in two weeks' time = 2023-07-28/2023-08-03"),
        ("three days from now", "three days from now = 2023-07-20"),
        ("I have been painting for two years", "for two years = 2021-01-01/2023-07-17"),
    ],
)
def test_counted_times(text: str, expected: str) -> None:
    """In figures, words and vague words; a week is taken give or take, a month or a year as a whole."""
    assert told(text) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7 May 2023", "7 May 2023 = 2023-05-07"),
        ("May 7th, 2021", "May 7th, 2021 = 2021-05-07"),
        ("the 7th of May", "7th of May = 2023-05-07"),
        ("Aug 5 2022", "Aug 5 2022 = 2022-08-05"),
        ("Sunday, 5 May 2019", "5 May 2019 = 2019-05-05"),
        ("2023-05-07", "2023-05-07 = 2023-05-07"),
        ("at 2023-05-07T10:00", "2023-05-07 = 2023-05-07"),
        ("25/12/2022", "25/12/2022 = 2022-12-25"),
        ("12/25/2022", "12/25/2022 = 2022-12-25"),
        ("November 5-6, 2022", "November 5-6, 2022 = 2022-11-05/2022-11-06"),
        ("May 2021", "May 2021 = 2021-05-01/2021-05-31"),
        ("in May of last year", "May of last year = 2022-05-01/2022-05-31"),
        ("in 2022", "2022 = 2022-01-01/2022-12-31"),
        ("the summer of 2022", "summer of 2022 = 2022-06-01/2022-08-31"),
    ],
)
def test_dates_of_the_calendar(text: str, expected: str) -> None:
    """In the forms that are common in English, and in ISO 8601's."""
    assert told(text) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I moved in May", "May = 2023-05-01/2023-05-31"),
        ("I moved in August", "August = 2022-08-01/2022-08-31"),
        ("We are going to Rome in August", "August = 2023-08-01/2023-08-31"),
        ("The conference in August", "August = 2023-08-01/2023-08-31"),
        ("I ran on Monday", "Monday = 2023-07-10"),
        ("On Sat I slept", "On Sat = 2023-07-15"),
        ("I'll run on Tuesday", "Tuesday = 2023-07-18"),
        ("I saw Ann on Tuesday and will write", "Tuesday = 2023-07-11"),
        ("we ate on the 20th", "on the 20th = 2023-06-20"),
        ("it was on 29 February", "29 February = 2020-02-29"),
    ],
)
def test_what_has_no_year_or_week(text: str, expected: str) -> None:
    """Is past, unless the verb next to it looks ahead or the last time is long ago."""
    assert told(text) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("in early June", "early June = 2023-06-01/2023-06-10"),
        ("mid-May 2022", "mid-May 2022 = 2022-05-11/2022-05-21"),
        ("late May", "late May = 2023-05-22/2023-05-31"),
        ("at the end of last month", "the end of last month = 2023-06-21/2023-06-30"),
        ("by the end of the year", "the end of the year = 2023-09-01/2023-12-31"),
        ("the week of 5 May", "the week of 5 May = 2023-05-01/2023-05-07"),
        ("the second week of May", "the second week of May = 2023-05-08/2023-05-14"),
        ("first weekend of June 2023", "first weekend of June 2023 = 2023-06-03/2023-06-04"),
        ("the last Friday in May", "the last Friday in May = 2023-05-26"),
        ("the Friday before 15 July 2023", "the Friday before 15 July 2023 = 2023-07-14"),
        ("two weekends before 17 July 2023", "two weekends before 17 July 2023 = 2023-07-08/2023-07-09"),
        ("the week before 9 June 2023", "the week before 9 June 2023 = 2023-06-02/2023-06-08"),
        ("the day after 3 May", "the day after 3 May = 2023-05-04"),
        ("since May", "since May = 2023-05-01/2023-07-17"),
        ("since early May", "since early May = 2023-05-01/2023-07-17"),
        ("before June", "before June = /2023-05-31"),
        ("until last Friday", "until last Friday = /2023-07-14"),
        ("after 3 May", "after 3 May = 2023-05-04/"),
    ],
)
def test_words_before_a_time(text: str, expected: str) -> None:
    """Take a part of it, what lies beside it, or all before or after it."""
    assert told(text) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("between May and July", "May and July = 2023-05-01/2023-07-31"),
        ("from 3 to 5 June", "3 to 5 June = 2023-06-03/2023-06-05"),
        ("from 2016 to 2018", "2016 to 2018 = 2016-01-01/2018-12-31"),
        ("from 28 December to 3 January", "28 December to 3 January = 2022-12-28/2023-01-03"),
        ("between August 11 and August 15 2023", "August 11 and August 15 2023 = 2023-08-11/2023-08-15"),
        ("from 28 December to 3 January 2021", "28 December to 3 January 2021 = 2020-12-28/2021-01-03"),
    ],
)
def test_a_stretch_between_two_times(text: str, expected: str) -> None:
    """Is one span, and a year that is told once serves both ends."""
    assert told(text) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "You may be right, and May I ask? This may be so.",
        "My aunt May and June's sister April agree.",
        "They march on. The march was long, 5 march past.",
        "He sat in the sun and wed her in the fall of a leaf.",
        "Second thoughts, a second chance, spring water, summer traditions.",
        "We dance every Friday. It is a Black Friday sale for Sunday school.",
        "It took two weeks; I read it in three days, twice a year.",
        "Born 05/07/2023? Version 1.2.2023 costs 2,022 or $2022 in 2000 steps.",
        "Cyberpunk 2077 is a 1968 vintage. Call 2023-1234 or 10.2023.",
        "It is 31/13/2022 or 2023-02-30 or 31 June.",
        "the first name, the last word, at last, next to me, this one",
        "これは昨日の話です",
        "",
    ],
)
def test_what_is_no_time(text: str) -> None:
    """Or not surely one, or one that the calendar does not have, is left alone."""
    assert told(text) == []


def test_several_times_stand_in_the_order_of_the_text() -> None:
    """Each with its place in it."""
    text = "Yesterday was fine. In May 2020 it was not; last week, so-so."

    assert told(text) == [
        "Yesterday = 2023-07-16",
        "May 2020 = 2020-05-01/2020-05-31",
        "last week = 2023-07-10/2023-07-16",
    ]


def test_an_apostrophe_may_be_curly() -> None:
    """As phones write it."""
    assert told("I’ll come on Friday") == ["Friday = 2023-07-21"]


@pytest.mark.parametrize(
    ("text", "day", "expected"),
    [
        ("a year ago", "2024-02-29", "2023-01-01/2023-12-31"),
        ("a month ago", "2024-03-31", "2024-02-01/2024-02-29"),
        ("yesterday", "2024-03-01", "2024-02-29"),
        ("yesterday", "2023-03-01", "2023-02-28"),
        ("yesterday", "2024-01-01", "2023-12-31"),
        ("last month", "2024-01-15", "2023-12-01/2023-12-31"),
        ("next week", "2024-12-30", "2025-01-06/2025-01-12"),
        ("this winter", "2024-01-15", "2023-12-01/2024-02-29"),
        ("last week", "1969-07-20", "1969-07-07/1969-07-13"),
    ],
)
def test_leap_days_and_turns_of_the_year(text: str, day: str, expected: str) -> None:
    """Are the calendar's, also before 1970."""
    assert told(text, at(day)) == [f"{text} = {expected}"]


@pytest.mark.parametrize("moment", [math.nan, math.inf, -math.inf, 1e12, -1e12, 1e300])
def test_a_moment_outside_the_calendar(moment: float) -> None:
    """Resolves nothing."""
    assert spans("yesterday, in May 2023", moment) == ()


def test_only_the_beginning_of_a_document_is_read() -> None:
    """A huge text costs no more than a long one."""
    assert told("x " * 100_000 + "yesterday") == []


@pytest.mark.parametrize(
    "word", ["May 1 ", "in may ", "friday ", "the last ", "mid ", "before ", "how long last ", " "]
)
def test_a_text_made_to_be_slow_is_not(word: str) -> None:
    """A message of nothing but times takes a second at most on a busy machine, whatever is asked of it."""
    text = f"{word * 900}in May {word * 20_000}"
    began = time.process_time()
    spans(text, MONDAY)
    anchor(text)
    order(text)

    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What did I do two weeks before the trip?", Anchor("before", "the trip", "week", 2, 2)),
        ("Where did we eat the day after my birthday?", Anchor("after", "my birthday", "day", 1, 1)),
        ("What broke a few days after I moved to Berlin?", Anchor("after", "I moved to Berlin", "day", 2, 5)),
        ("The weekend before the race, what did I eat?", Anchor("before", "the race", "weekend", 1, 1)),
        ("After the wedding, where did we go?", Anchor("after", "the wedding")),
        ("After the wedding where did we go?", Anchor("after", "the wedding")),
        ("What has changed since I quit smoking?", Anchor("after", "I quit smoking")),
        ("Who called prior to Sunday's dinner?", Anchor("before", "Sunday's dinner")),
    ],
)
def test_an_event_to_count_from(question: str, expected: Anchor) -> None:
    """Is told in the question's words, with direction and distance."""
    assert anchor(question) == expected


@pytest.mark.parametrize(
    "question",
    [
        "What did I do before 3 May?",
        "What have I read since last Tuesday?",
        "What happened after that?",
        "Have I been there before?",
        "Who did I look after in Spain?",
        "Whom is he named after?",
        "Which of the following dreams did I have?",
        "How do I keep following dreams?",
        "What is my name?",
    ],
)
def test_no_event_to_count_from(question: str) -> None:
    """A time that can be resolved, a pronoun, or another sense of the word."""
    assert anchor(question) is None


@pytest.mark.parametrize(
    ("question", "first", "last"),
    [
        ("two weeks before the trip", "2023-06-30", "2023-07-06"),
        ("the week before the trip", "2023-07-10", "2023-07-16"),
        ("the day after the trip", "2023-07-20", "2023-07-20"),
        ("the month after the trip", "2023-07-20", "2023-08-19"),
        ("the weekend before the trip", "2023-07-15", "2023-07-16"),
        ("two Fridays after the trip", "2023-07-28", "2023-07-28"),
        ("before the trip", "", "2023-07-16"),
        ("after the trip", "2023-07-20", ""),
    ],
)
def test_around_an_event(question: str, first: str, last: str) -> None:
    """Once the event's date is found, the distance leads to the days that were meant."""
    found = anchor(question)

    assert found is not None
    moments = found.around(at("2023-07-17") // 86_400 * 86_400, at("2023-07-20") // 86_400 * 86_400)
    assert moments is not None
    assert (_day(moments[0]), _day(moments[1] - 86_400)) == (first, last)


def test_around_an_event_of_a_moment() -> None:
    """A turn's own moment will do as the event's time."""
    assert Anchor("before", "it", "day", 1, 1).around(MONDAY, MONDAY) == (
        MONDAY // 86_400 * 86_400 - 86_400,
        MONDAY // 86_400 * 86_400,
    )


@pytest.mark.parametrize("moment", [math.nan, math.inf, 1e12, -62_135_596_800.0])
def test_around_an_event_outside_the_calendar(moment: float) -> None:
    """There is nothing; the last one is the first moment of the year 1."""
    assert Anchor("before", "it", "week", 2, 2).around(moment, moment) is None


@pytest.mark.parametrize(
    "question",
    [
        "What did I say first?",
        "What was the first thing I asked?",
        "When did I first meet Ann?",
        "What was my very first car?",
        "Which came first, the dog or the cat?",
        "What is my earliest memory?",
        "What did I originally plan?",
        "What did you think at first?",
        "What did the first and the last guest say?",
    ],
)
def test_a_question_for_the_first(question: str) -> None:
    """Of several things, or the first time."""
    assert order(question) == "first"


@pytest.mark.parametrize(
    "question",
    [
        "What did I eat last?",
        "When did John last visit Paris?",
        "When was I last in Paris?",
        "When was the last time that I ran?",
        "What was the last movie I saw?",
        "What is the most recent book I read?",
        "Whom did I meet most recently?",
        "What is my latest idea?",
    ],
)
def test_a_question_for_the_last(question: str) -> None:
    """Of several things, or the last time."""
    assert order(question) == "last"


@pytest.mark.parametrize(
    "question",
    [
        "What did I do last Tuesday?",
        "Where was I last summer?",
        "What did we do in the last two weeks?",
        "What is my last name?",
        "What is Ann's first name?",
        "Who won first place?",
        "Was it love at first sight?",
        "What happened in the first week of June?",
        "How long did the trip last?",
        "Does it last long?",
        "Where do I live?",
    ],
)
def test_a_question_for_neither(question: str) -> None:
    """The words have other uses."""
    assert order(question) == ""
