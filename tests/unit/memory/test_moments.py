"""Times in questions: what they lift, what they let in, and what they keep out. Today is a Monday in July 2023."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from gateway.memory.policies.ranker import Weights, judge
from gateway.memory.policies.ranker.moments import belonging, wanted
from gateway.memory.policies.ranker.texts import told
from gateway.memory.records import Candidate, Hit, Memory, Scope
from gateway.memory.words import Words
from tests.support.words import table

SCOPE = Scope("t", "u")
NONE = Words.none()
COMMON = table(common="the a to my our of in on we i what did", near=(("trip",), ("rome",), ("soup",)))
NEVER = {"on_day": 0.0, "in_period": 0.0, "of_day": 0.0, "of_period": 0.0}


def at(moment: str) -> float:
    """A moment in seconds since the epoch; a day alone means its noon."""
    told = moment if "T" in moment else f"{moment}T12:00"
    return datetime.fromisoformat(told).replace(tzinfo=UTC).timestamp()


NOW = at("2023-07-17")


def said(moment: str, text: str = "I had soup.", *, like: float = 0.4) -> Candidate:
    """What was said then, each in a session of its own; all signals find it equally well."""
    memory = Memory(moment, SCOPE, moment, text, at=at(moment), seq=1)
    return Candidate(memory, {"dense_turn": like, "dense_near": like, "bm25_turn": like, "bm25_near": like})


def columns(question: str, *candidates: Candidate, words: Words = COMMON) -> list[dict[str, float]]:
    """For each candidate what it belongs to."""
    memories = [candidate.memory for candidate in candidates]
    found = belonging(question, NOW, memories, [told(memory.text, words) for memory in memories], words)
    return [{name: float(column[i]) for name, column in found.items()} for i in range(len(memories))]


def ruled(question: str, candidates: Sequence[Candidate]) -> list[Hit]:
    """The hits, best first."""
    return judge(question, candidates, Weights(), NOW, COMMON)


def first(question: str, *candidates: Candidate) -> str:
    """The id of the best hit: the moment it was said."""
    return ruled(question, candidates)[0].memory.id


def entering(question: str, candidates: Sequence[Candidate]) -> list[str]:
    """The ids of what may enter the prompt, in order of time."""
    return sorted(hit.memory.id for hit in ruled(question, candidates) if not hit.dropped)


DAYS = ("2023-05-03", "2023-05-20", "2023-06-06", "2023-06-27", "2023-07-11", "2023-07-14")


@pytest.mark.parametrize("day", DAYS)
def test_a_day_lifts_what_was_said_on_it(day: str) -> None:
    """Of turns that are alike in all else."""
    assert first(f"What soup did I have on {day}?", *map(said, DAYS)) == day


def test_a_month_lifts_what_was_said_in_it() -> None:
    """Before what was said in others."""
    hits = ruled("What soup did I have in May?", [said(day) for day in DAYS])

    assert {hit.memory.id for hit in hits[:2]} == {"2023-05-03", "2023-05-20"}


def test_a_day_lifts_what_tells_of_it() -> None:
    """As counted from when it was said: last Tuesday was the 11th."""
    found = said("2023-07-15", "I had soup last Tuesday."), said("2023-07-16", "I had soup last Thursday.")

    assert first("What did I have on 11 July?", *found) == "2023-07-15"
    assert first("What did I have on 13 July?", *found) == "2023-07-16"


def test_no_time_belongs_to_nothing() -> None:
    """Whatever the memories tell of."""
    assert columns("What soup did I have?", said("2023-07-16", "I had soup yesterday.")) == [NEVER]


@pytest.mark.parametrize(
    ("moment", "belongs"),
    [
        ("2023-05-01T23:00", 0.0),
        ("2023-05-02T20:00", 1.0),
        ("2023-05-03T00:00", 1.0),
        ("2023-05-04T03:00", 1.0),
        ("2023-05-05T02:00", 0.0),
    ],
)
def test_a_day_has_a_days_slack(moment: str, belongs: float) -> None:
    """Clocks stand in other zones, and people speak of an evening until they sleep."""
    assert columns("What did I eat on 3 May 2023?", said(moment)) == [NEVER | {"on_day": belongs}]


@pytest.mark.parametrize(
    ("moment", "belongs"),
    [
        ("2023-05-31T23:00", 0.0),
        ("2023-06-01T01:00", 1.0),
        ("2023-06-30T22:00", 1.0),
        ("2023-07-03T09:00", 1.0),
        ("2023-07-06T09:00", 0.0),
    ],
)
def test_a_period_lasts_some_days_longer(moment: str, belongs: float) -> None:
    """People tell of a month in the first days of the next one; nobody tells of it before it begins."""
    assert columns("What did I eat in June 2023?", said(moment)) == [NEVER | {"in_period": belongs}]


@pytest.mark.parametrize(
    ("question", "column"),
    [
        ("What did I paint on 5 June 2022?", "of_day"),
        ("What did I paint in June 2022?", "of_day"),
        ("What did I paint in 2022?", "of_period"),
    ],
)
def test_what_is_told_of_a_time_belongs_to_it(question: str, column: str) -> None:
    """A year holds so much that it counts apart from a day or a month."""
    assert columns(question, said("2023-07-01", "I painted the kitchen in June 2022.")) == [NEVER | {column: 1.0}]


def test_what_never_ends_tells_no_time() -> None:
    """ "Since 2001" is every day of many years."""
    assert columns("What did I paint on 5 June 2022?", said("2023-07-01", "I have painted since 2001.")) == [NEVER]


def test_two_weeks_before_an_event_are_counted_from_its_date() -> None:
    """The memory that is surely about the trip tells when it was, wherever it was said."""
    trip = said("2023-07-10", "Our trip to Rome began on 20 June 2023.")
    then, later = said("2023-06-06"), said("2023-06-27")

    assert [
        c["in_period"] for c in columns("What did I eat two weeks before the trip to Rome?", trip, then, later)
    ] == [
        0.0,
        1.0,
        0.0,
    ]


def test_an_event_without_a_date_was_when_it_was_told() -> None:
    """That is the best guess."""
    trip, then = said("2023-06-20", "Our trip to Rome begins!"), said("2023-06-06")

    assert [c["in_period"] for c in columns("What did I eat two weeks before the trip to Rome?", trip, then)] == [
        0.0,
        1.0,
    ]


def test_an_event_that_nobody_told_of_has_no_date() -> None:
    """A memory that shares a word with it is not taken for it."""
    other = said("2023-06-20", "The trip to Rome was cancelled.")

    assert columns("What did I eat two weeks before the wedding in Rome?", other, said("2023-06-06")) == [NEVER, NEVER]


def test_the_first_is_the_earliest() -> None:
    """Of what is alike in all else; and the last is the latest."""
    found = [said(day) for day in DAYS]

    assert first("What was the first soup that I had?", *found) == DAYS[0]
    assert first("What was the last soup that I had?", *found) == DAYS[-1]


STRANGE = [said(day, f"Nothing of note on page {n}.", like=0.02) for n, day in enumerate(DAYS)]


@pytest.mark.parametrize("time", ["last Tuesday", "on 11 July 2023", "on July 11th", "on 2023-07-11"])
def test_a_question_about_nothing_but_a_time_finds_what_was_said_then(time: str) -> None:
    """It is like nothing in meaning, so the gate has no say: what belongs enters."""
    assert entering(f"What did we talk about {time}?", STRANGE) == ["2023-07-11"]


def test_what_belongs_to_another_time_stays_out() -> None:
    """And the trace says why."""
    reasons = {hit.memory.id: hit.dropped for hit in ruled("What did we talk about last Tuesday?", STRANGE)}

    assert reasons == dict.fromkeys(DAYS, "another time") | {"2023-07-11": ""}


def test_a_time_of_which_nothing_is_known_is_met_with_silence() -> None:
    """Nothing belongs to it, and nothing is like the question."""
    assert entering("What did we talk about in January?", STRANGE) == []


def test_a_question_that_is_about_more_than_a_time_goes_through_the_gate() -> None:
    """A time alone helps nobody who asks for lead."""
    assert entering("What is the boiling point of lead, and was it so in January?", STRANGE) == []


def test_the_first_talk_is_the_earliest_few_turns() -> None:
    """And the last one the latest few, whatever they say."""
    days = [f"2023-06-{n:02}" for n in range(1, 21)]
    found = [said(day, f"Nothing of note on page {day}.", like=0.02) for day in days]

    assert entering("What did we talk about first?", found) == days[:5]
    assert entering("What did we talk about last?", found) == days[-5:]


def test_a_store_looks_a_day_around_a_time() -> None:
    """For the same slack that the ranker gives."""
    (period,) = wanted("What did I eat on 3 May 2023?", NOW).periods

    assert period == (at("2023-05-02T00:00"), at("2023-05-05T00:00"))


@pytest.mark.parametrize("question", ["What did I paint in 2022?", "What have I painted since 2001?", "What is lead?"])
def test_a_store_need_not_look_into_years(question: str) -> None:
    """They hold too much to be candidates for that alone, and no time holds nothing."""
    assert wanted(question, NOW).periods == ()


def test_a_store_is_told_which_end_is_wanted() -> None:
    """Of all that was ever said."""
    ends = [wanted(q, NOW).end for q in ("What did we talk about first?", "What was the last soup?", "What soup?")]

    assert ends == ["first", "last", ""]


@pytest.mark.parametrize("moment", [math.inf, -math.inf, math.nan, 1e18])
def test_a_clock_that_is_off_names_no_time(moment: float) -> None:
    """The calendar has no such day."""
    assert wanted("What did I eat yesterday?", moment).periods == ()
