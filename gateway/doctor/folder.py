"""The data directory: whether it can be written, by whom it can be read, how much room there is, who has it. Opens no
store."""

import fcntl
import os
import shutil
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

from gateway.doctor.finding import Finding

_LITTLE, _TIGHT = 200 << 20, 2 << 30
# A graph is built on a copy, see docs/operations.md.
_ROOM = 3
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_SECRET_BYTES = 32
_HOLDS = ("secret", "mneme.db", "mneme.db-wal", "mneme.db-shm")


def free(path: Path) -> int:
    """Bytes that the file system has left."""
    return shutil.disk_usage(path).free


def look(data: Path, *, remembers: bool, own_secret: bool, left: Callable[[Path], int] = free) -> list[Finding]:
    """`remembers`: a store lies there; `own_secret`: so does the secret, for no other was given; `left` gives the bytes
    that are free."""
    room = _room(data, left(_standing(data)), remembers)
    if not data.is_dir():
        return [_absent(data), room]
    if not os.access(data, os.R_OK | os.W_OK | os.X_OK):
        mend = "Make it a directory that this user can write, or set another MNEME_DATA."
        return [Finding("data directory", "fail", f"{data} cannot be read and written by this user", mend)]
    used = "in use by a running process" if in_use(data) else "in use by nobody"
    found = Finding("data directory", "ok", f"{data}, {used}")
    return [found, room, _modes(data), *([_secret(data / "secret")] if own_secret else [])]


def in_use(data: Path) -> bool:
    """Whether a process has one of the stores open. Asked by a lock of our own that is let go at once."""
    return any(_held(lock) for lock in (data / "mneme.db.lock", *data.glob("memories*/lock")))


def _held(lock: Path) -> bool:
    try:
        descriptor = os.open(lock, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _absent(data: Path) -> Finding:
    above = _standing(data)
    if data.exists() or not (above.is_dir() and os.access(above, os.W_OK | os.X_OK)):
        mend = "Set MNEME_DATA to a directory that this user can write, or make."
        return Finding("data directory", "fail", f"{data} is no directory, and cannot be made in {above}", mend)
    return Finding("data directory", "ok", f"{data} is not there yet; the first start makes it")


def _standing(path: Path) -> Path:
    """The nearest that exists."""
    return next(each for each in (path.absolute(), *path.absolute().parents) if each.exists())


def _room(data: Path, left: int, remembers: bool) -> Finding:
    told = f"{left / 2**30:.1f} GiB free"
    if left < _LITTLE:
        return Finding("disk", "fail", told, "Make room: a full disk loses turns.")
    memories = sum(file.stat().st_size for file in data.glob("memories*/**/*") if file.is_file()) if remembers else 0
    if left < _ROOM * memories:
        mend = f"Make room for {_ROOM} times that: until then users with many memories are searched without a graph."
        return Finding("disk", "warn", f"{told}, memories take {memories / 2**30:.1f} GiB", mend)
    if left < _TIGHT:
        return Finding("disk", "warn", told, "Make room before it is full.")
    return Finding("disk", "ok", told)


def _modes(data: Path) -> Finding:
    """A directory that only its owner may enter keeps what is in it."""
    private = not data.stat().st_mode & _OTHERS
    held = [data / name for name in _HOLDS if (data / name).exists()]
    open_ = [] if private else [file.name for file in held if file.stat().st_mode & _OTHERS]
    if open_:
        told = f"others on this machine may get at {', '.join(open_)}"
        return Finding("permissions", "warn", told, f"chmod 700 {data}")
    return Finding("permissions", "ok", "what lies there is for its owner only")


def _secret(file: Path) -> Finding:
    if not file.exists():
        before = file.with_name("mneme.db").exists()
        told = "is gone: the next start makes another, and certificates can no longer be verified"
        mend = "Restore the file from a backup of this directory."
        fresh = Finding("secret", "ok", "not there yet; the first start makes it")
        return Finding("secret", "warn", f"{file} {told}", mend) if before else fresh
    if file.stat().st_size != _SECRET_BYTES:
        return Finding("secret", "fail", f"{file} is damaged", "Restore it from a backup, or delete it.")
    return Finding("secret", "ok", "this directory's own")


def sizes(files: Sequence[Path]) -> int:
    """Bytes, of those that exist."""
    return sum(file.stat().st_size for file in files if file.exists())
