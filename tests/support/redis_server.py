"""A real redis-server of the tests' own, with an append-only file. Knows no key."""

import asyncio
import atexit
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

PROGRAM = "redis-server"
_SECONDS = 10.0


@dataclass
class RedisServer:
    """One process over one directory; started anew it finds what the former one kept. `options` are redis.conf's."""

    folder: Path
    options: dict[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        """It listens nowhere else."""
        return self.folder / "redis.sock"

    @property
    def url(self) -> str:
        """As the connection wants it."""
        return f"unix://{self.socket}"

    def start(self) -> None:
        """Return once it answers."""
        known = {"port": "0", "unixsocket": str(self.socket), "dir": str(self.folder), "save": "", "appendonly": "yes"}
        chosen = {"appendfsync": "always", **known, **self.options}
        arguments = [part for name, value in chosen.items() for part in (f"--{name}", value)]
        self.socket.unlink(missing_ok=True)
        self._process = subprocess.Popen([PROGRAM, *arguments], stdout=subprocess.DEVNULL)
        until = time.monotonic() + _SECONDS
        while self._told("PING") != b"PONG":
            assert self._process.poll() is None, "redis-server ended"
            assert time.monotonic() < until, "redis-server does not answer"
            time.sleep(0.02)

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """An orderly end."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """It neither answers nor closes a connection, until `resume`."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """It answers again."""
        self._signal(signal.SIGCONT)

    async def command(self, *words: str) -> bytes:
        """What redis-cli prints."""
        return await asyncio.to_thread(self._told, *words)

    def _told(self, *words: str) -> bytes:
        told = subprocess.run(["redis-cli", "-s", str(self.socket), *words], capture_output=True, check=False)
        return told.stdout.strip()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._signal(signal.SIGCONT)
            self._signal(number)
            self._process.wait(_SECONDS)


@contextmanager
def redis_server(**options: str) -> Iterator[RedisServer]:
    """A server with these options, underscores for hyphens; it and its files are gone at the end."""
    _need()
    with tempfile.TemporaryDirectory(prefix="mneme-redis-") as folder:
        server = RedisServer(Path(folder), {name.replace("_", "-"): value for name, value in options.items()})
        server.start()
        try:
            yield server
        finally:
            server.kill()


@cache
def shared() -> RedisServer:
    """One for the whole run, for tests that keep to a prefix of their own."""
    running = redis_server()
    server = running.__enter__()
    atexit.register(running.__exit__, None, None, None)
    return server


def _need() -> None:
    if shutil.which(PROGRAM) is None:
        pytest.skip("needs redis-server")
