"""What a model tells of some turns, in which words it is asked, and how that becomes drafts. Pure; never sees an id but
those of the turns."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from gateway.memory.policies.asking import sources
from gateway.memory.policies.hindsight.entities import Entity, note, resolved, tidy
from gateway.memory.records import Kind, Turn
from gateway.memory.reflections import Draft
from gateway.memory.thoughts import Span

RETAIN = """Write down what is worth remembering of these turns: two to five facts a turn, fewer where it tells less.
Each can be understood alone: names instead of pronouns, dates instead of "yesterday". `network` is "world" for what is
so, "experience" for what the assistant did, "opinion" for what the assistant judged, with a `confidence` from 0 to 1
(1 for the others). `what` tells it in one or two sentences; `when`, `where`, `who` and `why` add what that leaves out,
"" for nothing. `entities` are names of people, places, organisations, things. `begins` and `ends` are the days it
happened on, as YYYY-MM-DD, "" if unknown. `turn` is the number of the turn that tells it. Questions are no facts.
`causes`: pairs of numbers of your facts, counted from 1, of which one is the cause and the other the effect.
`bearings`: opinions among those held, by number, that these turns reinforce, weaken or contradict."""
OBSERVE = """Describe each of these, in at most three neutral sentences, from the facts about it and nothing else.
`about` is its number, `text` the description."""
NETWORKS: Mapping[str, Kind] = {"world": "fact", "experience": "experience", "opinion": "opinion"}

_DAY = 86_400.0
_WHAT, _MORE, _NAMED = 1200, 200, 8


@dataclass(frozen=True, slots=True)
class Narrative:
    """A fact as a model tells it."""

    turn: int
    network: Literal["world", "experience", "opinion"]
    what: str
    when: str
    where: str
    who: str
    why: str
    entities: tuple[str, ...]
    begins: str
    ends: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Cause:
    """Numbers of two facts."""

    cause: int
    effect: int


@dataclass(frozen=True, slots=True)
class Bearing:
    """Of what was said, on an opinion that is held."""

    opinion: int
    effect: Literal["reinforce", "weaken", "contradict"]


@dataclass(frozen=True, slots=True)
class Retained:
    """What a model is asked for first."""

    facts: tuple[Narrative, ...]
    causes: tuple[Cause, ...]
    bearings: tuple[Bearing, ...]


@dataclass(frozen=True, slots=True)
class Description:
    """Of an entity, by its number."""

    about: int
    text: str


@dataclass(frozen=True, slots=True)
class Observations:
    """What a model is asked for then."""

    descriptions: tuple[Description, ...]


def drafts(told: Sequence[Narrative], turns: Sequence[Turn], who: dict[str, Entity], a_turn: int) -> dict[int, Draft]:
    """By the numbers that the model counted, of a turn at most `a_turn`. `who` is known; those named now are added."""
    made: dict[int, Draft] = {}
    kept = Counter[tuple[str, ...]]()
    for number, fact in enumerate(told, 1):
        text, rests_on = _text(fact), sources(turns, [fact.turn])
        if not text or kept[rests_on] >= a_turn:
            continue
        kept[rests_on] += 1
        heard = [turn for turn in turns if turn.id in rests_on]
        named, at = tidy(fact.entities, _NAMED), heard[-1].at
        tags = tuple(dict.fromkeys(resolved(name, named, at, who) for name in named))
        note(who, tags, at)
        made[number] = Draft(
            kind=NETWORKS[fact.network],
            text=text,
            sources=rests_on,
            confidence=fact.confidence if fact.network == "opinion" else 1.0,
            occurred=_period(fact.begins, fact.ends),
            tags=tags,
            spans=() if fact.network == "world" else tuple(_reply(turn) for turn in heard if turn.reply_text),
        )
    return made


def _reply(turn: Turn) -> Span:
    """What the assistant did or judges, it said: so it counts as the assistant's, not as the user's."""
    return Span(turn.id, "reply", 0, len(turn.reply_text))


def _text(fact: Narrative) -> str:
    """What happened, and the rest where that does not say it; one text, which is found by any of it."""
    text = fact.what.strip()[:_WHAT]
    parts = (("When", fact.when), ("Where", fact.where), ("Who", fact.who), ("Why", fact.why))
    more = [(name, part.strip().rstrip(".")[:_MORE]) for name, part in parts]
    said = text.casefold()
    return " ".join(
        [text, *(f"{name}: {part}." for name, part in more if part and part.casefold() not in said)] if text else []
    )


def _period(begins: str, ends: str) -> tuple[float, float] | None:
    """[start, end) of these days (UTC), in seconds since the epoch; None where the first is no day."""
    first = _midnight(begins)
    if first is None:
        return None
    return first, max(_midnight(ends) or first, first) + _DAY


def _midnight(day: str) -> float | None:
    try:
        return datetime.strptime(day.strip(), "%Y-%m-%d").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
