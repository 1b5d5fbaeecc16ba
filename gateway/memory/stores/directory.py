"""A directory that is ours alone: made, writable, locked; or refused with advice. Knows nothing of what lies in it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.errors import DataDirectoryRefused

_ADVICE = "Set MNEME_DATA to a directory that this user can write."


def make(path: Path) -> None:
    """The directory, readable by its owner only when it is new. DataDirectoryRefused when it cannot hold our files."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as failed:
        raise _refused(path, failed) from failed
    if not os.access(path, os.W_OK | os.X_OK):
        raise DataDirectoryRefused(f"{path} is not writable. {_ADVICE}")


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold `file` until the end; the system lets go of it when the process dies. DataDirectoryRefused when somebody
    else holds it."""
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as failed:
        raise _refused(file, failed) from failed
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataDirectoryRefused(
                f"{file.parent} is in use by another process: stop it, or set another MNEME_DATA."
            ) from None
        yield
    finally:
        os.close(descriptor)


def _refused(path: Path, failed: OSError) -> DataDirectoryRefused:
    return DataDirectoryRefused(f"{path} cannot be used ({failed.strerror}). {_ADVICE}")
