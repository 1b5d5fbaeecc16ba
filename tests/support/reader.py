"""The embedded reader as a child process, over a real socket. Knows its command line and nothing of its code."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODEL = "mneme-reader"


@dataclass(frozen=True)
class Reader:
    """A reader that listens. `url` is the base URL with /v1."""

    url: str
    process: subprocess.Popen[str]


@contextmanager
def spawned_reader(*flags: str) -> Iterator[Reader]:
    """`python -m workers.reader` on a free port, following its stdin; ended at the end."""
    command = [sys.executable, "-m", "workers.reader", "--port", "0", "--follow-stdin", *flags]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("reader ready http"), line
            yield Reader(line.split()[-1], process)
        finally:
            process.kill()
