"""A gateway's own export (/admin/export, JSON Lines) with a file of questions: evaluation on one's own traffic. Pure.

Lines of the questions file: {"question": …, "evidence": [memory ids], "category"?: …, "at"?: seconds since 1970}.
An export is one user's memory, so it is one sample, named "export".
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import orjson

from gateway.evals.locomo import DatasetRefused
from gateway.evals.recall.readers import fields
from gateway.evals.recall.sample import NOBODY, Question, Sample
from gateway.memory.records import Memory

MEMORIES, QUESTIONS = "the export", "the questions"
_NAME = "export"
_EMPTY_SCOPE = {"tenant": NOBODY.tenant, "user": NOBODY.user}


def fits(files: Mapping[str, bytes]) -> bool:
    """Two files, as `load` names them when it is given questions."""
    return files.keys() == {MEMORIES, QUESTIONS}


def read(files: Mapping[str, bytes]) -> tuple[Sample, ...]:
    """One sample; DatasetRefused names file, line and field."""
    memories = sorted((_memory(line, place) for line, place in _lines(files, MEMORIES)), key=lambda m: (m.at, m.seq))
    by_id = {memory.id: memory for memory in memories}
    if len(by_id) != len(memories):
        raise DatasetRefused(f"{MEMORIES}: two memories have the same id")
    if not memories:
        raise DatasetRefused(f"{MEMORIES}: holds no memory")
    pairs = [_question(line, by_id, place) for line, place in _lines(files, QUESTIONS)]
    questions = tuple(question for question, _ in pairs)
    labels = {memory.id: memory.id for memory in memories}
    return (Sample(_NAME, tuple(memories), questions, labels, sum(missing for _, missing in pairs)),)


def _lines(files: Mapping[str, bytes], name: str) -> Iterator[tuple[dict[str, Any], str]]:
    for number, line in enumerate(files[name].split(b"\n"), 1):
        if not line.strip():
            continue
        place = f"{name}, line {number}"
        try:
            yield fields.mapped(orjson.loads(line), place), place
        except orjson.JSONDecodeError as wrong:
            raise DatasetRefused(f"{place}: is not JSON: {wrong}") from None


def _memory(line: dict[str, Any], place: str) -> Memory:
    try:
        return msgspec.convert({"session": "", **line, "scope": _EMPTY_SCOPE}, Memory)
    except msgspec.ValidationError as wrong:
        raise DatasetRefused(f"{place}: {wrong}") from None


def _question(line: dict[str, Any], by_id: Mapping[str, Memory], place: str) -> tuple[Question, int]:
    cited = fields.listed(line.get("evidence"), f"{place}: evidence")
    gold = tuple(dict.fromkeys(id for id in cited if isinstance(id, str) and id in by_id))
    category, at = line.get("category", "all"), line.get("at", 0.0)
    if not isinstance(category, str) or isinstance(at, bool) or not isinstance(at, int | float):
        raise DatasetRefused(f"{place}: category must be a text and at a number of seconds")
    sessions = tuple(dict.fromkeys(by_id[id].session for id in gold))
    question = Question(fields.text(line, "question", place), category, gold, sessions, float(at))
    return question, len({str(id) for id in cited}) - len(gold)
