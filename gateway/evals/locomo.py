"""Reads files of LoCoMo's shape and refuses what is not one, saying where it is wrong. Pure; knows no gateway.

The shape: a list of {sample_id, conversation, qa}; conversation: {session_N: [{speaker, dia_id, text, blip_caption?}],
session_N_date_time}; qa: [{question, category, evidence: [dia_id]}] (Maharana et al., ACL 2024). The rest is ignored.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from gateway.errors import MnemeError

CATEGORIES: Mapping[int, str] = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop", 5: "adversarial"}

_SESSION = re.compile(r"session_([0-9]{1,9})")
_BETWEEN_IDS = re.compile(r"[\s;,]+")
_DATE = "%I:%M %p on %d %B, %Y"
_LONGEST_NAME = 200
_JSON_NAMES: Mapping[type, str] = {list: "a list", dict: "an object", str: "a text"}


class DatasetRefused(MnemeError):
    """The file is not what it must be; the message names the place and what was expected there."""


@dataclass(frozen=True, slots=True)
class Said:
    """One turn of a conversation; `text` is what is sent: the speaker, the words, the image's caption if any."""

    id: str
    words: str
    text: str


@dataclass(frozen=True, slots=True)
class Session:
    """What was said on one occasion, in order; `at` is when it began (the file has no zone; UTC is assumed)."""

    name: str
    at: datetime
    turns: tuple[Said, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """`evidence` has the ids of existing turns only, each once. `answer` is "" where there is none to be had, None
    where the file tells none."""

    text: str
    category: int
    evidence: tuple[str, ...]
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Dialogue:
    """One conversation and the questions about it. `left_out` counts evidence ids that no turn has."""

    name: str
    sessions: tuple[Session, ...]
    questions: tuple[Question, ...]
    left_out: int

    @property
    def turns(self) -> Mapping[str, Said]:
        """Every turn by its id, in the order they were said."""
        return {turn.id: turn for session in self.sessions for turn in session.turns}


def parse(raw: bytes) -> tuple[Dialogue, ...]:
    """The file's conversations, in its order; DatasetRefused when its bytes are not JSON of the shape."""
    try:
        loaded: Any = orjson.loads(raw)
    except orjson.JSONDecodeError as wrong:
        raise DatasetRefused(f"The file is not JSON: {wrong}") from None
    samples = _typed(loaded, list, "the file")
    if not samples:
        raise DatasetRefused("the file: holds no conversation")
    dialogues = tuple(_dialogue(sample, f"conversation {i}") for i, sample in enumerate(samples, 1))
    names = [dialogue.name for dialogue in dialogues]
    if len(set(names)) != len(names):
        raise DatasetRefused("the file: two conversations have the same sample_id")
    return dialogues


def answer(item: Mapping[str, Any]) -> str | None:
    """A question's own answer, a text or a number; None where the file tells none."""
    value = item.get("answer")
    return str(value) if isinstance(value, str | int | float) and str(value).strip() else None


def _dialogue(sample: Any, place: str) -> Dialogue:
    name = _text(_typed(sample, dict, place), "sample_id", place)
    if len(name) > _LONGEST_NAME:
        raise DatasetRefused(f"{place}: sample_id is longer than {_LONGEST_NAME} characters")
    sessions = tuple(_sessions(_typed(sample.get("conversation"), dict, f"{name}: conversation"), name))
    ids = [turn.id for session in sessions for turn in session.turns]
    if not ids:
        raise DatasetRefused(f"{name}: conversation has no session_N with turns")
    if twice := {id for id in ids if ids.count(id) > 1}:
        raise DatasetRefused(f"{name}: dia_id {min(twice)} is given to two turns")
    known = frozenset(ids)
    pairs = [
        _question(item, known, f"{name}: question {i}")
        for i, item in enumerate(_typed(sample.get("qa"), list, f"{name}: qa"), 1)
    ]
    return Dialogue(name, sessions, tuple(question for question, _ in pairs), sum(left for _, left in pairs))


def _sessions(conversation: Mapping[str, Any], name: str) -> Iterator[Session]:
    numbered = sorted((int(found[1]), key) for key in conversation if (found := _SESSION.fullmatch(key)))
    for _, key in numbered:
        place = f"{name}: {key}"
        items = _typed(conversation.get(key), list, place)
        if items:
            turns = tuple(_said(item, f"{place}, turn {i}") for i, item in enumerate(items, 1))
            yield Session(key, _moment(conversation, f"{key}_date_time", name), turns)


def _said(item: Any, place: str) -> Said:
    speaker, words = (_text(_typed(item, dict, place), field, place) for field in ("speaker", "text"))
    caption = _text(item, "blip_caption", place) if item.get("blip_caption") else ""
    line = f"{speaker}: {words}"
    return Said(_text(item, "dia_id", place), line, f"{line} [image: {caption}]" if caption else line)


def _question(item: Any, known: frozenset[str], place: str) -> tuple[Question, int]:
    text = _text(_typed(item, dict, place), "question", place)
    category = item.get("category")
    if isinstance(category, bool) or not isinstance(category, int) or category not in CATEGORIES:
        raise DatasetRefused(f"{place}: category must be one of {', '.join(map(str, CATEGORIES))}")
    cited = _typed(item.get("evidence"), list, f"{place}: evidence")
    # Some entries of the original hold several ids in one string.
    ids = [id for entry in cited for id in _BETWEEN_IDS.split(_typed(entry, str, f"{place}: evidence")) if id]
    found = tuple(dict.fromkeys(id for id in ids if id in known))
    told = "" if CATEGORIES[category] == "adversarial" else answer(item)
    return Question(text, category, found, told), sum(id not in known for id in ids)


def _moment(conversation: Mapping[str, Any], key: str, name: str) -> datetime:
    told = _text(conversation, key, name)
    try:
        moment = datetime.strptime(told, _DATE) if " on " in told else datetime.fromisoformat(told)
    except ValueError:
        raise DatasetRefused(f"{name}: {key} must read like '1:56 pm on 8 May, 2023' or be ISO 8601") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _text(fields: Mapping[str, Any], key: str, place: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str) or not value.strip():
        raise DatasetRefused(f"{place}: {key} must be a text that is not empty")
    return value


def _typed(value: Any, kind: type[list[Any]] | type[dict[str, Any]] | type[str], place: str) -> Any:
    if not isinstance(value, kind):
        raise DatasetRefused(f"{place}: must be {_JSON_NAMES[kind]}")
    return value
