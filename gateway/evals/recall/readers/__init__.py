"""The table of shapes that can be read, and the choice among them by what a file looks like."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from gateway.evals.locomo import DatasetRefused
from gateway.evals.recall.readers import beam, export, locomo, longmemeval
from gateway.evals.recall.sample import Sample

Loaded = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Shape:
    """`fits` looks at the names and bytes of the files, `read` makes samples of them or raises DatasetRefused."""

    fits: Callable[[Loaded], bool]
    read: Callable[[Loaded], tuple[Sample, ...]]


TABLE: Mapping[str, Shape] = {
    "beam": Shape(beam.fits, beam.read),
    "export": Shape(export.fits, export.read),
    "longmemeval": Shape(longmemeval.fits, longmemeval.read),
    "locomo": Shape(locomo.fits, locomo.read),
}


@dataclass(frozen=True, slots=True)
class Source:
    """What was read: the shape's name, the samples, and a digest of every byte that they came from."""

    shape: str
    samples: tuple[Sample, ...]
    digest: str


def load(path: Path, questions: Path | None) -> Source:
    """Read a file, or a folder of them. DatasetRefused names the file and the place in it that is wrong."""
    try:
        files = _files(path, questions)
    except OSError as failed:
        raise DatasetRefused(f"{failed.filename or path} cannot be read: {failed.strerror}") from None
    for name, shape in TABLE.items():
        try:
            if shape.fits(files):
                return Source(name, shape.read(files), _digest(files))
        except orjson.JSONDecodeError as wrong:
            raise DatasetRefused(f"{path} is not JSON: {wrong}") from None
        except DatasetRefused as refused:
            raise DatasetRefused(f"{path}: {refused.message}") from None
    raise DatasetRefused(f"{path} is of no shape that is known: {', '.join(TABLE)}")


def _files(path: Path, questions: Path | None) -> dict[str, bytes]:
    if path.is_dir():
        return {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*.json")) if beam.wants(p)}
    found = {export.MEMORIES if questions else path.name: path.read_bytes()}
    return found | ({export.QUESTIONS: questions.read_bytes()} if questions else {})


def _digest(files: Loaded) -> str:
    whole = hashlib.sha256()
    for name, raw in files.items():
        whole.update(f"{name}\n{len(raw)}\n".encode() + raw)
    return whole.hexdigest()
