"""A snapshot: a copy of a data directory that is in use, which can be opened as it is. Knows no engine and no HTTP.

The journal is copied first, then memories: a turn that the copied journal calls indexed has its memories in the store
that is copied later. What is indexed in between is pending there, and is indexed again, to the same effect.
"""

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import TypeVar

from gateway.errors import Conflict, MemoryUnavailable

T = TypeVar("T")
Copy = Callable[[Path], Awaitable[int]]
"""Copies one store to the path, which is not there yet, and opens the copy to see that it is whole; how much is in
it."""
_ROOM = 1.1  # times what is there: it grows meanwhile


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Where it is, its size, how long it took, and how much each part of it holds: turns the journal's file, memories
    every other."""

    path: str
    bytes: int
    seconds: float
    held: dict[str, int]


class Snapshots:
    """Takes them, one at a time, into directories below `data`. `copies` stand under the names of what they copy, the
    journal's first; `lasting` are files that never change, if they are there."""

    def __init__(self, data: Path, copies: Mapping[str, Copy], lasting: Sequence[str]) -> None:
        self._data = data
        self._copies = copies
        self._lasting = lasting
        self._busy = asyncio.Lock()

    async def __call__(self) -> Snapshot:
        """A new one. Conflict while another is taken; MemoryUnavailable, with nothing left behind, when the disk has no
        room, or what was copied cannot be opened."""
        if self._busy.locked():
            raise Conflict("Another snapshot is being taken.")
        async with self._busy:
            began = perf_counter()
            part = await asyncio.to_thread(_on_disk, self._begin)
            try:
                held = {name: await copy(part / name) for name, copy in self._copies.items()}
                path, size = await asyncio.to_thread(_on_disk, lambda: self._finish(part))
            finally:
                await asyncio.to_thread(shutil.rmtree, part, ignore_errors=True)
            return Snapshot(str(path), size, round(perf_counter() - began, 3), held)

    def _begin(self) -> Path:
        folder = self._data / "snapshots"
        folder.mkdir(mode=0o700, exist_ok=True)
        for left in folder.glob("*.part"):  # of a process that was killed
            shutil.rmtree(left)
        room, needed = shutil.disk_usage(folder).free, _size(_files(*(self._data / name for name in self._copies)))
        if room < _ROOM * needed:
            raise MemoryUnavailable(f"{folder} has {room >> 20} MiB left, too little for a copy of {needed >> 20} MiB.")
        part = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}.part"
        part.mkdir(mode=0o700)
        return part

    def _finish(self, part: Path) -> tuple[Path, int]:
        """Once it is on the disk it gets its name. Where, and its size in bytes."""
        for file in self._lasting:
            if (self._data / file).exists():
                shutil.copy2(self._data / file, part / file)
        for path in (*part.rglob("*"), part):
            _sync(path)
        whole = part.with_suffix("")
        part.rename(whole)
        _sync(whole.parent)
        return whole, _size(_files(whole))


def _files(*paths: Path) -> list[Path]:
    return [file for path in paths for file in (path, *path.rglob("*")) if file.is_file()]


def _size(files: Sequence[Path]) -> int:
    """In bytes. Stores that are in use may remove a file at any moment."""
    size = 0
    for file in files:
        with suppress(FileNotFoundError):
            size += file.stat().st_size
    return size


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _on_disk(job: Callable[[], T]) -> T:
    try:
        return job()
    except OSError as failed:
        raise MemoryUnavailable(f"The snapshot cannot be written: {failed}") from failed
