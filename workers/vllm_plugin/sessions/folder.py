"""The directory of session files: safetensors, written beside and renamed, for the owner's eyes only, bounded. Knows
bytes, not what they mean; imports neither vLLM nor torch."""

import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from workers.kv.keep import Kept, surplus

Rows = npt.NDArray[np.uint8]
"""[blocks, bytes of a block]."""

_FORMAT = "mneme-session-1"
_SUFFIX, _UNFINISHED = ".safetensors", ".part"
_HASHES = "hashes"
_ABANDONED = 3600.0  # seconds after which an unfinished file has lost its writer


class Unreadable(Exception):
    """A file that is torn, foreign, or no longer the one that was meant; one line says which."""


@dataclass(frozen=True, slots=True)
class Content:
    """What goes into a file. `facts`, `hashes`, `groups`: see `workers.kv.keep.Kept`; `layers`: by layer name, the rows
    of its group's blocks in ascending order."""

    facts: Mapping[str, str]
    hashes: tuple[bytes, ...]
    groups: tuple[tuple[range, ...], ...]
    layers: Mapping[str, Rows]


class Folder:
    """Every method blocks on the disk."""

    def __init__(self, directory: Path, bound: int) -> None:
        """`bound`: bytes of session files that may stay."""
        self._at, self._bound = directory, bound

    def open(self) -> None:
        """Make the directory and clear away what writers left unfinished long ago. OSError if it cannot be written."""
        self._at.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(self._at, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError(f"{self._at} cannot be read and written.")
        for path in self._at.glob(f"*{_UNFINISHED}"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > _ABANDONED:
                    path.unlink()

    def save(self, key: str, content: Content) -> tuple[int, int]:
        """Replace the session's file → (its bytes, how many older sessions left for it); (0, 0) if it alone exceeds the
        bound, or if a file of the same engine already holds this context and more. OSError when the disk will not."""
        with suppress(Unreadable):
            there = self.peek(key)
            if there is not None and there.facts == content.facts and _continues(there.hashes, content.hashes):
                return 0, 0
        arrays = {_HASHES: _stacked(content.hashes), **content.layers}
        head = _head(content, arrays)
        size = len(head) + sum(part.nbytes for part in arrays.values())
        if size > self._bound:
            return 0, 0
        unfinished = self._at / f"{key}.{os.getpid()}.{time.monotonic_ns()}{_UNFINISHED}"
        try:
            _write(unfinished, head, arrays.values())
            unfinished.replace(self._path(key))
        finally:
            unfinished.unlink(missing_ok=True)
        return size, self._make_room()

    def peek(self, key: str) -> Kept | None:
        """What the session's file says that it holds; None without a file, Unreadable if it is torn or foreign."""
        try:
            with safe_open(self._path(key), framework="numpy") as file:
                about = _about(file.metadata())
                hashes = file.get_tensor(_HASHES)
                size = self._path(key).stat().st_size
            groups = tuple(tuple(range(start, stop) for start, stop in group) for group in json.loads(about["groups"]))
            return Kept(dict(json.loads(about["facts"])), tuple(map(bytes, hashes)), groups, about["digest"], size)
        except FileNotFoundError:
            return None
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as wrong:
            raise Unreadable(f"{type(wrong).__name__}: {wrong}") from wrong

    def load(self, key: str, digest: str) -> dict[str, Rows]:
        """Every layer's rows of the file that had this digest when it was looked at; Unreadable for any other bytes."""
        try:
            with safe_open(self._path(key), framework="numpy") as file:
                about = _about(file.metadata())
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no mapping
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as wrong:
            raise Unreadable(f"{type(wrong).__name__}: {wrong}") from wrong
        if about["digest"] != digest:
            raise Unreadable("It was replaced after it was looked at.")
        if _digest(about["facts"], about["groups"], arrays) != digest:
            self.forget(key)
            raise Unreadable("Its bytes are not those that were written.")
        del arrays[_HASHES]
        return arrays

    def forget(self, key: str) -> bool:
        """Remove the session's file; False if there was none."""
        try:
            self._path(key).unlink()
        except FileNotFoundError:
            return False
        return True

    def clear(self, owner: str) -> int:
        """Remove all sessions of one `workers.kv.keep.owner_key`, unfinished ones too; how many files it was."""
        found = list(self._at.glob(f"{owner}*"))
        for path in found:
            path.unlink(missing_ok=True)
        return len(found)

    def _path(self, key: str) -> Path:
        return self._at / f"{key}{_SUFFIX}"

    def _make_room(self) -> int:
        found: list[tuple[float, int, str]] = []
        for path in self._at.glob(f"*{_SUFFIX}"):
            with suppress(FileNotFoundError):  # another worker made room first
                told = path.stat()
                found.append((told.st_mtime, told.st_size, path.name))
        leaving = surplus(found, self._bound)
        for name in leaving:
            (self._at / name).unlink(missing_ok=True)
        return len(leaving)


def _continues(longer: tuple[bytes, ...], shorter: tuple[bytes, ...]) -> bool:
    """Each hash stands for all before it, so one comparison tells."""
    return 0 < len(shorter) <= len(longer) and longer[len(shorter) - 1] == shorter[-1]


def _stacked(hashes: tuple[bytes, ...]) -> Rows:
    return np.frombuffer(b"".join(hashes), np.uint8).reshape(len(hashes), -1)


def _about(metadata: Mapping[str, str] | None) -> Mapping[str, str]:
    if metadata is None or metadata.get("format") != _FORMAT:
        raise ValueError("It is no session file.")
    return metadata


def _digest(facts: str, groups: str, arrays: Mapping[str, Rows]) -> str:
    shapes = [(name, part.shape) for name, part in sorted(arrays.items())]
    running = hashlib.sha256(json.dumps([facts, groups, shapes]).encode())
    for _, part in sorted(arrays.items()):
        running.update(np.ascontiguousarray(part).reshape(-1).data)
    return running.hexdigest()


def _head(content: Content, arrays: Mapping[str, Rows]) -> bytes:
    """The format's own header: its length in 8 bytes, then JSON, filled up to a multiple of 8."""
    facts = json.dumps(dict(content.facts), sort_keys=True)
    groups = json.dumps([[[part.start, part.stop] for part in group] for group in content.groups])
    about = {"format": _FORMAT, "facts": facts, "groups": groups, "digest": _digest(facts, groups, arrays)}
    told: dict[str, Any] = {"__metadata__": about}
    at = 0
    for name, part in arrays.items():
        told[name] = {"dtype": "U8", "shape": list(part.shape), "data_offsets": [at, at + part.nbytes]}
        at += part.nbytes
    text = json.dumps(told).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _write(path: Path, head: bytes, arrays: Iterable[Rows]) -> None:
    """By hand and not by the library, which would copy every tensor once more and hold the interpreter meanwhile."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(head)
        for part in arrays:
            file.write(np.ascontiguousarray(part).reshape(-1).data)
        file.flush()
        os.fsync(file.fileno())
