"""LoCoMo's shape (Maharana et al., ACL 2024) as samples; the file itself is read by evals/locomo.py. Pure."""

from collections.abc import Mapping

from gateway.evals.locomo import CATEGORIES, Dialogue, parse
from gateway.evals.recall.sample import NOBODY, Question, Sample, turn_id
from gateway.memory.records import Turn


def fits(files: Mapping[str, bytes]) -> bool:
    """One file with conversations and their `qa`."""
    return len(files) == 1 and all(b'"qa"' in raw for raw in files.values())


def read(files: Mapping[str, bytes]) -> tuple[Sample, ...]:
    """One sample per conversation; DatasetRefused names conversation and field."""
    return tuple(_sample(dialogue) for raw in files.values() for dialogue in parse(raw))


def _sample(dialogue: Dialogue) -> Sample:
    ids = {label: turn_id(dialogue.name, label) for label in dialogue.turns}
    where = {turn.id: session.name for session in dialogue.sessions for turn in session.turns}
    seq = {label: i for i, label in enumerate(dialogue.turns, 1)}
    told = tuple(
        Turn(ids[said.id], NOBODY, session.name, said.id, session.at.timestamp(), said.text, "", seq=seq[said.id])
        for session in dialogue.sessions
        for said in session.turns
    )
    asked_at = dialogue.sessions[-1].at.timestamp()
    questions = tuple(
        Question(
            text=question.text,
            category=CATEGORIES[question.category],
            gold=tuple(ids[label] for label in question.evidence),
            sessions=tuple(dict.fromkeys(where[label] for label in question.evidence)),
            at=asked_at,
            answer=question.answer,
        )
        for question in dialogue.questions
    )
    return Sample(dialogue.name, told, questions, {id: label for label, id in ids.items()}, dialogue.left_out)
