"""Answers, one a line, in a file that grows with them, so that a run that was cut off can go on. Files only."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
import orjson


@dataclass(frozen=True, slots=True)
class Answered:
    """The `number`th question of a conversation, from 1. `correct` is None where there is no verdict; `f1` is None
    where no answer is expected. Tokens: of the prompt and the answer, of the prompt those that memory put in, and of
    the judge."""

    conversation: str
    number: int
    category: str
    question: str
    expected: str
    given: str
    correct: bool | None
    f1: float | None
    prompt_tokens: int
    answer_tokens: int
    injected: int
    judge_tokens: int
    skipped: tuple[str, ...] = ()


Known = Mapping[tuple[str, int], Answered]


class _Line(msgspec.Struct):
    key: str
    answered: Answered


def kept(path: Path, key: str) -> dict[tuple[str, int], Answered]:
    """Those of an earlier run under the same key. A line that was cut off does not count."""
    found = {}
    for line in path.read_bytes().split(b"\n") if path.exists() else ():
        try:
            told = msgspec.json.decode(line, type=_Line)
        except msgspec.MsgspecError:
            continue
        if told.key == key:
            found[told.answered.conversation, told.answered.number] = told.answered
    return found


async def add(path: Path, key: str, answered: Answered) -> None:
    """Append one; it stands in the file when this returns."""
    line = b"\n" + orjson.dumps({"key": key, "answered": asdict(answered)})  # so that no line joins one that was cut
    await asyncio.to_thread(_append, path, line)


def _append(path: Path, line: bytes) -> None:
    with path.open("ab") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
