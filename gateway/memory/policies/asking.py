"""How a policy puts material before a model, and understands what comes back. Pure.

Turns and memories are numbered, and the model names numbers: it never sees an id, so it cannot name one of somebody
else, and a number that was not given out names nothing.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from gateway.memory.records import Memory, Turn

T = TypeVar("T")
_RULE = "-" * 8
_RULES = re.compile(r"-{4,}")
_LONGEST = 4000


def material(title: str, lines: Iterable[str]) -> str:
    """Lines between two rules, which nothing in them can be taken for."""
    body = "\n".join(_RULES.sub("---", line) for line in lines)
    return f"{title}\n{_RULE}\n{body or '(nothing)'}\n{_RULE}"


def told(turns: Sequence[Turn]) -> str:
    """What was said, by turns numbered from 1, each with its day."""
    lines = []
    for number, turn in enumerate(turns, 1):
        lines.append(f"[{number}] {day(turn.at)} user: {turn.user_text[:_LONGEST]}")
        if turn.reply_text:
            lines.append(f"[{number}] assistant: {turn.reply_text[:_LONGEST]}")
    return material("What was said:", lines)


def remarked(turns: Sequence[Turn]) -> str:
    """What somebody told of the answers, by the numbers that `told` gives their turns."""
    lines = []
    for number, turn in enumerate(turns, 1):
        if said := turn.feedback:
            score = "" if said.score is None else f" score {said.score:g}"
            lines.append(f"[{number}] {said.outcome}{score}: {said.text[:_LONGEST]}")
    return material("What was told of the answers:", lines)


def known(memories: Sequence[Memory], title: str = "What is remembered:") -> str:
    """Memories numbered from 1, each with its day."""
    lines = (
        f"[{number}] {day(memory.at)} {memory.thought.title + ': ' if memory.thought and memory.thought.title else ''}"
        f"{memory.text[:_LONGEST]}"
        for number, memory in enumerate(memories, 1)
    )
    return material(title, lines)


def picked(items: Sequence[T], numbers: Iterable[int]) -> list[T]:
    """What these numbers were given to, once each; others name nothing."""
    return [items[number - 1] for number in dict.fromkeys(numbers) if 1 <= number <= len(items)]


def sources(turns: Sequence[Turn], numbers: Iterable[int]) -> tuple[str, ...]:
    """The ids of these turns; of all of them where no number names any, for they were all that was asked about."""
    return tuple(turn.id for turn in picked(turns, numbers) or turns)


def day(at: float) -> str:
    """As YYYY-MM-DD, in UTC."""
    return datetime.fromtimestamp(max(min(at, 4e9), 0.0), UTC).date().isoformat()
