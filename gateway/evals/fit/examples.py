"""Questions with the evidence that recall collects for them: what the ranker's weights are fitted to. Asks the stores
through the gateway's own recall; never ranks.

Memories of users are of any size, so conversations are also told in part: some turns in a row, and only the questions
that these can answer. And users speak of themselves as "I", so half of the parts are told as if by one user.
"""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gateway.evals.fit.regress import Array
from gateway.evals.recall.embedded import Embedded
from gateway.evals.recall.run import unhelped
from gateway.evals.recall.sample import Question, Sample, origin
from gateway.memory.policies.ranker import Evidence, examine
from gateway.memory.policies.verbatim import Verbatim
from gateway.memory.records import Memory, Turn

# Turns told, and how often each conversation is told that many.
PARTS = {4: 12, 16: 8, 60: 4, 240: 2}
_SPEAKER = re.compile(r"([A-Z]\w+): ")
_FROM_A_PART = 12  # questions of each kind, at most


@dataclass(frozen=True, slots=True)
class Example:
    """`kind` is "own" for a question that the memory can answer, else a kind of those that it cannot; `part` is how
    many turns were told, 0 for all. `gold` has 1 for candidates that are evidence."""

    sample: Sample
    number: int
    question: Question
    kind: str
    part: int
    evidence: Evidence
    gold: Array


async def collect(
    subject: Embedded, policy: Verbatim, sample: Sample, others: Sequence[Sample], step: Callable[[str], None]
) -> list[Example]:
    """The examples of one conversation: told whole, then in parts."""
    quiet, speakers = unhelped(others, sample), sorted({name for other in others for name in _speakers(other)})
    found = await _told(subject, policy, sample, quiet, 0)
    step(f"{sample.name}: whole")
    drawn = random.Random(sample.name)  # noqa: S311  # the same parts every time
    for part, times in PARTS.items():
        for time in range(times):
            piece = _piece(sample, part, drawn)
            few = {kind: drawn.sample(texts, min(_FROM_A_PART, len(texts))) for kind, texts in quiet.items()}
            if time % 2:
                piece = _by_one(piece, speakers)
                few = {kind: [_of_oneself(text, speakers) for text in texts] for kind, texts in few.items()}
            found += await _told(subject, policy, piece, few, part)
        step(f"{sample.name}: {part} turns")
    return found


def _piece(sample: Sample, turns: int, drawn: random.Random) -> Sample:
    """So many turns in a row around a turn that answers something, and some of the questions that they answer."""
    gold = drawn.choice([id for question in sample.questions for id in question.gold])
    at = next(i for i, said in enumerate(sample.told) if said.id == gold)
    first = max(at - drawn.randrange(turns), 0)
    told = sample.told[first : first + turns]
    ids = {said.id for said in told}
    answered = [question for question in sample.questions if question.gold and ids.issuperset(question.gold)]
    return replace(sample, told=told, questions=tuple(drawn.sample(answered, min(_FROM_A_PART, len(answered)))))


def _speakers(sample: Sample) -> set[str]:
    """Names that stand before what was said, as in "Ada: I keep bees"."""
    found = (_SPEAKER.match(_text(said)) for said in sample.told)
    return {match[1] for match in found if match}


def _by_one(sample: Sample, speakers: Sequence[str]) -> Sample:
    """The same without the speakers' names, and with questions of somebody who asks about himself."""
    told = tuple(
        replace(said, user_text=_SPEAKER.sub("", said.user_text))
        if isinstance(said, Turn)
        else replace(said, text=_SPEAKER.sub("", said.text))
        for said in sample.told
    )
    asked = tuple(replace(question, text=_of_oneself(question.text, speakers)) for question in sample.questions)
    return replace(sample, told=told, questions=asked)


def _of_oneself(question: str, speakers: Sequence[str]) -> str:
    for name in speakers:
        question = re.sub(rf"\b{re.escape(name)}['’]s\b", "my", question)
        question = re.sub(rf"\b{re.escape(name)}\b", "I", question)
    return question


def _text(said: Turn | Memory) -> str:
    return said.user_text if isinstance(said, Turn) else said.text


async def _told(
    subject: Embedded, policy: Verbatim, sample: Sample, quiet: dict[str, list[str]], part: int
) -> list[Example]:
    asked = [(number, question, "own") for number, question in enumerate(sample.questions, 1) if question.gold]
    asked += [(0, Question(text, "", (), ()), kind) for kind, texts in quiet.items() for text in texts]
    examples = []
    try:
        await subject.tell(sample)
        for number, question, kind in asked:
            candidates, now = await subject.candidates(question.text, question.at)
            evidence = examine(question.text, candidates, now, policy.words)
            if evidence is not None:
                gold = _gold(sample, question, evidence)
                examples.append(Example(sample, number, question, kind, part, evidence, gold))
    finally:
        await subject.forget()
    return examples


def _gold(sample: Sample, question: Question, evidence: Evidence) -> Array:
    wanted = set(question.gold)
    return np.array([origin(one.memory, sample.labels) in wanted for one in evidence.candidates], float)
