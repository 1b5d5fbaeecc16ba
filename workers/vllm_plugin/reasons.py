"""Why one of vLLM's processes did not start, brought to the launcher: vLLM's front end only learns that it did not.
Each process notes what it fails with in a file that the launcher named; the first note is the cause. Judges nothing."""

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workers.kv.errors import PolicyRefused

_FILE = "MNEME_KV_REASON"
_LOGGER, _SAID = "vllm", "failed to start"


class _Notes(logging.Handler):
    """vLLM logs what ends a process that starts; there is no other place where it can be seen."""

    def emit(self, record: logging.LogRecord) -> None:
        """Note the exception of a process that failed to start."""
        failed = record.exc_info[1] if record.exc_info else None
        if failed is None or _SAID not in record.getMessage():
            return
        text = str(failed) if isinstance(failed, PolicyRefused) else f"{type(failed).__name__}: {failed}"
        with open(os.environ[_FILE], "a", encoding="utf-8") as notes:
            notes.write(" ".join(text.split()) + "\n")


def install() -> None:
    """Note what this process fails with, if a launcher asked for it. Idempotent."""
    logger = logging.getLogger(_LOGGER)
    if _FILE in os.environ and not any(isinstance(handler, _Notes) for handler in logger.handlers):
        logger.addHandler(_Notes(logging.ERROR))


@contextmanager
def noted() -> Iterator[Path]:
    """While this is open, processes that are started note their reasons in the file that is given."""
    handle, name = tempfile.mkstemp(prefix="mneme-kv-")
    os.close(handle)
    os.environ[_FILE] = name
    try:
        yield Path(name)
    finally:
        os.environ.pop(_FILE)
        Path(name).unlink(missing_ok=True)


def first(notes: Path) -> str | None:
    """The cause, in one line; None if nobody noted one."""
    return next(iter(notes.read_text(encoding="utf-8").splitlines()), None)
