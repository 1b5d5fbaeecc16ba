"""The memory directories of one installation, below its data directory. Never opens what lies in them."""

import asyncio
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from gateway.errors import MemoryUnavailable
from gateway.memory.records import FILLING, Standing
from gateway.memory.stores import directory, naming
from gateway.memory.stores.edge.shard import read_stamp

T = TypeVar("T")
PLAIN = "memories"
_MARK = "behind"


class Directories:
    """See ports.Indexes. A mark is a file: it is there before the directory is first opened, and survives a crash."""

    plain = PLAIN

    def __init__(self, data: Path) -> None:
        self._data = data

    async def found(self) -> list[Standing]:
        return await _on_disk(self._found)

    async def begin(self, name: str) -> None:
        """One that is not there yet is about to be made beside another one."""
        await _on_disk(lambda: self._mark(self._data / name, FILLING))

    async def fall_behind(self, name: str) -> str:
        return await _on_disk(lambda: self._mark(self._data / name, uuid.uuid4().hex))

    async def catch_up(self, name: str, mark: str) -> bool:
        return await _on_disk(lambda: self._unmark(self._data / name / _MARK, mark))

    async def drop(self, name: str) -> None:
        await _on_disk(lambda: self._drop(self._data / name))

    def _found(self) -> list[Standing]:
        paths = sorted(path for path in self._data.glob(f"{PLAIN}*") if naming.may_be_ours(PLAIN, path.name))
        stamped = {path: str(read_stamp(path).get("embedder")) for path in paths if (path / "stamp.json").exists()}
        return [
            Standing(path.name, embedder, _read(path / _MARK))
            for path, embedder in stamped.items()
            if naming.is_ours(PLAIN, path.name, embedder)
        ]

    def _mark(self, path: Path, mark: str) -> str:
        directory.make(path)
        draft = path / f"{_MARK}.new"
        draft.write_text(mark)
        draft.replace(path / _MARK)
        return mark

    def _unmark(self, file: Path, mark: str) -> bool:
        if _read(file) != mark:
            return False
        file.unlink(missing_ok=True)
        return True

    def _drop(self, path: Path) -> None:
        with directory.locked(path / "lock"):
            # Stamp and mark last: what a removal that was cut leaves is known for what it is, and can be removed again.
            for left in path.iterdir():
                if left.is_dir():
                    shutil.rmtree(left)
            (path / "stamp.json").unlink()
            shutil.rmtree(path)


async def _on_disk(job: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(job)
    except OSError as failed:
        raise MemoryUnavailable(f"The memory directories cannot be used: {failed}") from failed


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except FileNotFoundError:
        return ""
