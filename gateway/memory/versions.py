"""What a memory was before, and on a day: versions are kept beside each other, nothing is written over. Pure."""

import re
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Literal

from gateway.memory.records import Memory
from gateway.memory.thoughts import Former

_KEPT = 20
_WORDS = re.compile(r"\s*\w+|\s*[^\w\s]|\s+")
_SENTENCES = re.compile(r"[^.!?\n]*[.!?\n]+|[^.!?\n]+")
# Beyond so many characters comparing word by word may take seconds.
_BY_WORDS = 8192


@dataclass(frozen=True, slots=True)
class Run:
    """A piece of two texts: in both, in the second alone, or in the first alone."""

    op: Literal["equal", "insert", "delete"]
    text: str


def next_version(old: Memory, new: Memory, now: float) -> Memory:
    """`new` as the version after `old`; the text that `old` had is kept, of many the latest."""
    former = old.former
    if new.text != old.text:
        former = (*former, Former(old.version, old.text, now))[-_KEPT:]
    return replace(new, version=old.version + 1, updated=now, former=former)


def as_of(memory: Memory, moment: float) -> Memory | None:
    """The memory as it was believed at a moment (seconds since the epoch); None where it was not, or not any more.

    What was told holds from when it was said; what took its place ends it. What an operator edited counts from the edit
    on, and what is archived counts as long as it was told.
    """
    if memory.at > moment or (memory.thought and memory.thought.until is not None and memory.thought.until <= moment):
        return None
    then = next((former for former in memory.former if former.until > moment), None)
    return memory if then is None else replace(memory, text=then.text, version=then.version)


def text_at(memory: Memory, version: int) -> str | None:
    """What the memory said at a version; None for one that it never had, or of which nothing is known any more."""
    if not 1 <= version <= memory.version:
        return None
    if len(memory.former) == _KEPT and version < memory.former[0].version:
        return None
    then = next((former for former in memory.former if former.version >= version), None)
    return memory.text if then is None else then.text


def difference(old: str, new: str) -> tuple[Run, ...]:
    """The runs that lead from one text to the other, by words; of long texts by sentences."""
    units = _WORDS if max(len(old), len(new)) <= _BY_WORDS else _SENTENCES
    before, after = units.findall(old), units.findall(new)
    runs: list[Run] = []
    for op, first, last, start, end in SequenceMatcher(None, before, after).get_opcodes():
        if op == "equal":
            runs.append(Run("equal", "".join(before[first:last])))
            continue
        gone, come = "".join(before[first:last]), "".join(after[start:end])
        runs += [Run("delete", gone)] if gone else []
        runs += [Run("insert", come)] if come else []
    return tuple(runs)
