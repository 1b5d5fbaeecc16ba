"""What a file of any shape comes down to: what was said, and questions with the turns that answer them. Pure nouns."""

import hashlib
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.memory.policies.base import Policy
from gateway.memory.records import Memory, Scope, Turn

NOBODY = Scope("", "")
_NAME = re.compile(r"(?<=[ ,:;])(?!I\b)[A-Z]\w*")
_IDS = uuid.UUID("6f2a3c52-0c0b-4b53-9d5a-3f2d1c6c9a10")


@dataclass(frozen=True, slots=True)
class Question:
    """`gold` has the ids of the turns (or memories) that hold the answer, `sessions` their sessions; both are empty for
    a question that nothing answers. `at` is when it is asked, in seconds since the epoch; 0 if the file does not say.
    `answer` is the file's own one: "" where there is none to be had, None where the file tells none.
    """

    text: str
    category: str
    gold: tuple[str, ...]
    sessions: tuple[str, ...]
    at: float = 0.0
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One conversation of many sessions: all that one user's memory is told, in order, and the questions about it.

    `told` holds turns, or memories as a gateway exported them; their scope is not set yet. `labels` maps their ids to
    the file's own names. `left_out` counts gold ids that nothing in the conversation has, `unasked` the questions that
    `begun` took out.
    """

    name: str
    told: tuple[Turn | Memory, ...]
    questions: tuple[Question, ...]
    labels: Mapping[str, str]
    left_out: int = 0
    unasked: int = 0


def turn_id(sample: str, label: str) -> str:
    """The same id for the same turn of the same file, every time: a result can be compared with a later one."""
    return str(uuid.uuid5(_IDS, f"{sample}\n{label}"))


def kept(sample: Sample, policy: Policy, scope: Scope) -> list[Memory]:
    """The memories that the policy keeps of what was told, for the scope."""
    memories: list[Memory] = []
    for said in sample.told:
        own = replace(said, scope=scope)
        memories += policy.keep(own) if isinstance(own, Turn) else (own,)
    return memories


def begun(sample: Sample, turns: int) -> Sample:
    """The conversation as it stood after its first `turns` turns (0: all of them), with those of its questions whose
    whole evidence lies in them."""
    told = sample.told[:turns] if turns else sample.told
    ids, sessions = {said.id for said in told}, {said.session for said in told}
    asked = tuple(q for q in sample.questions if ids.issuperset(q.gold) and sessions.issuperset(q.sessions))
    return replace(sample, told=told, questions=asked, unasked=len(sample.questions) - len(asked))


def origin(memory: Memory, labels: Mapping[str, str]) -> str:
    """The id of what was told that a memory is of: its own, or the turn's where it is a later piece of a long one."""
    if memory.id in labels:
        return memory.id
    return next((source for source in memory.sources if source in labels), memory.id)


def names(texts: Iterable[str]) -> frozenset[str]:
    """Words with a capital that do not begin a text, but for "I"."""
    return frozenset(word for text in texts for word in _NAME.findall(text))


def half(name: str) -> str:
    """Which half of a file a conversation belongs to, by its name alone: "dev" or "held-out"."""
    return "held-out" if hashlib.sha256(name.encode()).digest()[0] % 2 else "dev"


def chosen(samples: Sequence[Sample], split: str, names: Sequence[str]) -> tuple[Sample, ...]:
    """Those of one half ("all" for both) that are named; no names means all of them."""
    return tuple(s for s in samples if split in ("all", half(s.name)) and (not names or s.name in names))
