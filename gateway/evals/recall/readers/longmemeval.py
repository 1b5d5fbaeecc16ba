"""LongMemEval's shape (Wu et al., ICLR 2025): every question has a history of its own, so each is one sample. Pure.

A list of {question_id, question_type, question, question_date, haystack_sessions: [[{role, content, has_answer?}]],
haystack_session_ids, haystack_dates, answer_session_ids}. A question whose id ends in _abs has no answer anywhere.
"""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from gateway.evals.locomo import DatasetRefused, answer
from gateway.evals.recall.readers import fields
from gateway.evals.recall.sample import NOBODY, Question, Sample, turn_id
from gateway.memory.records import Turn

_DATE = "%Y/%m/%d %H:%M"
_WEEKDAY = re.compile(r"\s*\([A-Za-z]+\)\s*")


def fits(files: Mapping[str, bytes]) -> bool:
    """One file with haystacks."""
    return len(files) == 1 and all(b'"haystack_sessions"' in raw for raw in files.values())


def read(files: Mapping[str, bytes]) -> tuple[Sample, ...]:
    """One sample per question; DatasetRefused names question and field."""
    (raw,) = files.values()
    items = fields.listed(orjson.loads(raw), "the file")
    samples = tuple(_sample(fields.mapped(item, f"question {i}"), f"question {i}") for i, item in enumerate(items, 1))
    if not samples:
        raise DatasetRefused("the file: holds no question")
    if len({sample.name for sample in samples}) != len(samples):
        raise DatasetRefused("the file: two questions have the same question_id")
    return samples


def _sample(item: Mapping[str, Any], place: str) -> Sample:
    name = fields.text(item, "question_id", place)
    sessions = fields.listed(item.get("haystack_sessions"), f"{name}: haystack_sessions")
    labels = fields.listed(item.get("haystack_session_ids"), f"{name}: haystack_session_ids")
    dates = fields.listed(item.get("haystack_dates"), f"{name}: haystack_dates")
    if not len(sessions) == len(labels) == len(dates):
        raise DatasetRefused(f"{name}: haystack_sessions, haystack_session_ids and haystack_dates differ in length")
    told: list[Turn] = []
    gold: list[str] = []
    names: dict[str, str] = {}
    for number, (messages, session, date) in enumerate(zip(sessions, labels, dates, strict=True), 1):
        at = _moment(date, f"{name}: haystack_dates, entry {number}")
        spot = f"{name}: session {number}"
        for i, (parts, said, reply) in enumerate(fields.exchanges(fields.listed(messages, spot), spot), 1):
            label = f"{session}:{i}" if labels.count(session) == 1 else f"{session}:{number}:{i}"
            id = turn_id(name, label)
            names[id] = label
            told.append(Turn(id, NOBODY, str(session), label, at, said, reply, seq=len(told) + 1))
            if any(part.get("has_answer") is True for part in parts):
                gold.append(id)
    return Sample(name, tuple(told), (_question(item, name, labels, gold),), names, _missing(item, name, labels))


def _question(item: Mapping[str, Any], name: str, labels: list[Any], gold: list[str]) -> Question:
    answerable = not name.endswith("_abs")
    cited = fields.listed(item.get("answer_session_ids"), f"{name}: answer_session_ids")
    return Question(
        text=fields.text(item, "question", name),
        category=fields.text(item, "question_type", name),
        gold=tuple(gold) if answerable else (),
        sessions=tuple(dict.fromkeys(str(s) for s in cited if s in labels)) if answerable else (),
        at=_moment(item.get("question_date"), f"{name}: question_date"),
        answer=answer(item) if answerable else "",
    )


def _missing(item: Mapping[str, Any], name: str, labels: list[Any]) -> int:
    return sum(session not in labels for session in item["answer_session_ids"]) if not name.endswith("_abs") else 0


def _moment(told: Any, place: str) -> float:
    if not isinstance(told, str):
        raise DatasetRefused(f"{place}: must be a text")
    return fields.moment(_WEEKDAY.sub(" ", told).strip(), _DATE, place)
