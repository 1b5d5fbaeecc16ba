"""BEAM's shape (Tavakoli et al., 2025): a folder with, per conversation, chat.json and probing_questions.json. Pure.

chat.json: [{batch_number, turns: [[{role, id, content, time_anchor?}]]}]; probing_questions/probing_questions.json:
{ability: [{question, source_chat_ids?}]}, where source_chat_ids holds message ids, in a list or in an object of lists.
The 10M conversations are nested one level deeper and are not read.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

import orjson

from gateway.evals.locomo import DatasetRefused
from gateway.evals.recall.readers import fields
from gateway.evals.recall.sample import NOBODY, Question, Sample, turn_id
from gateway.memory.records import Turn

_CHAT, _QUESTIONS = "chat.json", "probing_questions/probing_questions.json"
_DATE = "%B-%d-%Y"
_MADE_FROM = re.compile(r"\s*->->\s*[\d,\s]*$")  # the generator's own note at the end of a user's message


def wants(path: Path) -> bool:
    """Whether a file of the folder is one of those that are read."""
    return path.name in (_CHAT, PurePath(_QUESTIONS).name)


def fits(files: Mapping[str, bytes]) -> bool:
    """At least one chat with questions beside it."""
    return any(PurePath(name).name == _CHAT for name in files)


def read(files: Mapping[str, bytes]) -> tuple[Sample, ...]:
    """One sample per chat that has questions; DatasetRefused names the chat and the field."""
    chats = sorted(PurePath(name).parent for name in files if PurePath(name).name == _CHAT)
    found = []
    for folder in chats:
        asked = files.get(str(folder / _QUESTIONS))
        if asked is not None:
            found.append(_sample(str(folder), files[str(folder / _CHAT)], asked))
    if not found:
        raise DatasetRefused(f"no {_CHAT} has {_QUESTIONS} beside it")
    return tuple(found)


def _sample(name: str, chat: bytes, asked: bytes) -> Sample:
    told: list[Turn] = []
    turn_of: dict[int, str] = {}
    session_of: dict[str, str] = {}
    at = 0.0
    for session, place, messages in _batches(orjson.loads(chat), name):
        for parts, said, reply in fields.exchanges(messages, place):
            at = _at(parts, place) or at
            label = ",".join(str(_id(part, place)) for part in parts)
            id = turn_id(name, label)
            turn_of |= {_id(part, place): id for part in parts}
            session_of[id] = session
            told.append(Turn(id, NOBODY, session, label, at, _MADE_FROM.sub("", said), reply, seq=len(told) + 1))
    if not told:
        raise DatasetRefused(f"{name}: {_CHAT} holds no turn")
    pairs = [
        _question(item, ability, turn_of, session_of, at, f"{name}: {ability}, question {i}")
        for ability, items in fields.mapped(orjson.loads(asked), f"{name}: {_QUESTIONS}").items()
        for i, item in enumerate(fields.listed(items, f"{name}: {ability}"), 1)
    ]
    labels = {turn.id: turn.chain for turn in told}
    return Sample(name, tuple(told), tuple(q for q, _ in pairs), labels, sum(missing for _, missing in pairs))


def _batches(chat: Any, name: str) -> Iterator[tuple[str, str, list[Any]]]:
    for i, item in enumerate(fields.listed(chat, f"{name}: {_CHAT}"), 1):
        place = f"{name}: batch {i}"
        groups = fields.listed(fields.mapped(item, place).get("turns"), f"{place}: turns")
        yield f"batch-{i}", place, [message for group in groups for message in fields.listed(group, place)]


def _question(
    item: Any, ability: str, turn_of: Mapping[int, str], session_of: Mapping[str, str], at: float, place: str
) -> tuple[Question, int]:
    asked = fields.mapped(item, place)
    cited = [*_ids(asked.get("source_chat_ids", []))]
    gold = tuple(dict.fromkeys(turn_of[id] for id in cited if id in turn_of))
    sessions = tuple(dict.fromkeys(session_of[id] for id in gold))
    question = Question(fields.text(asked, "question", place), ability, gold, sessions, at)
    return question, sum(id not in turn_of for id in cited)


def _ids(cited: Any) -> Iterator[int]:
    """Every number in it, however deep: abilities cite in lists, or in objects of lists."""
    if isinstance(cited, int) and not isinstance(cited, bool):
        yield cited
    for inner in cited.values() if isinstance(cited, dict) else cited if isinstance(cited, list) else ():
        yield from _ids(inner)


def _id(message: Mapping[str, Any], place: str) -> int:
    id = message.get("id")
    if isinstance(id, bool) or not isinstance(id, int):
        raise DatasetRefused(f"{place}: id must be a whole number")
    return id


def _at(parts: list[dict[str, Any]], place: str) -> float:
    told = next((part["time_anchor"] for part in parts if part.get("time_anchor")), "")
    return fields.moment(told, _DATE, f"{place}: time_anchor") if isinstance(told, str) and told else 0.0
