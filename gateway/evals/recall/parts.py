"""Results by conversation, kept in JSON Lines as they come, so that a run that was cut off can go on. Files only."""

import asyncio
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import orjson

from gateway.evals.locomo import DatasetRefused
from gateway.evals.recall.marks import Marks
from gateway.evals.recall.measures import Quiet
from gateway.evals.recall.subject import Told


@dataclass(frozen=True, slots=True)
class Part:
    """What was found out about one conversation; `turns` were told, `left_out` gold ids did not exist, `unasked`
    questions have evidence that was not told."""

    conversation: str
    turns: int
    told: Told
    left_out: int
    unasked: int
    marks: tuple[Marks, ...]
    quiet: tuple[Quiet, ...]


class _Line(msgspec.Struct):
    key: str
    part: Part


def key(configuration: Mapping[str, Any]) -> str:
    """A digest of everything that a result depends on."""
    return hashlib.sha256(orjson.dumps(configuration, option=orjson.OPT_SORT_KEYS)).hexdigest()


def kept(path: Path, key: str) -> dict[str, Part]:
    """The parts of an earlier run under the same key, by conversation. A last line that was cut off does not count."""
    found = {}
    for line in path.read_bytes().split(b"\n") if path.exists() else ():
        try:
            told = msgspec.json.decode(line, type=_Line)
        except msgspec.MsgspecError:
            continue
        if told.key == key:
            found[told.part.conversation] = told.part
    return found


async def add(path: Path, key: str, part: Part) -> None:
    """Append a part; it stands in the file when this returns."""
    line = b"\n" + orjson.dumps({"key": key, "part": asdict(part)})  # so that no line joins one that was cut off
    await asyncio.to_thread(_append, path, line)


def _append(path: Path, line: bytes) -> None:
    with path.open("ab") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def questions(path: Path) -> Path:
    """Where the per-question file of a report stands: beside its JSON."""
    return path.with_suffix(".questions.jsonl")


def read_marks(report: Path) -> tuple[Marks, ...]:
    """Every question of another report. DatasetRefused when its per-question file is missing or another thing."""
    path = questions(report)
    try:
        return tuple(msgspec.json.decode(line, type=Marks) for line in path.read_bytes().splitlines())
    except OSError as failed:
        raise DatasetRefused(f"{path} cannot be read: {failed.strerror}") from None
    except msgspec.MsgspecError as wrong:
        raise DatasetRefused(f"{path} is no per-question file of this evaluation: {wrong}") from None


def write_marks(report: Path, marks: Sequence[Marks]) -> None:
    """One question a line: gold, ranks, the best hits with their signals."""
    questions(report).write_bytes(b"".join(orjson.dumps(asdict(one)) + b"\n" for one in marks))
