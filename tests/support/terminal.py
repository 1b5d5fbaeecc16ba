"""A command on a real terminal, of the system's own kind: what it writes is kept as it was written."""

import asyncio
import fcntl
import os
import pty
import re
import struct
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from tests.support.gateway import ROOT

_STEERING = re.compile(rb"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|[()][A-Z0-9]|[=>78MHc])|[\x0e\x0f]")


@dataclass
class Terminal:
    """`written` is every byte so far."""

    process: asyncio.subprocess.Process
    _end: int
    written: bytearray = field(default_factory=bytearray)
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self._end, keys.encode())

    @property
    def text(self) -> str:
        """What is to be read in it, without what moves the cursor and sets colours."""
        return _STEERING.sub(b"", bytes(self.written)).decode(errors="replace")

    async def shows(self, text: str) -> None:
        """Return once it was written."""
        async with asyncio.timeout(60):
            while text not in self.text:
                self._more.clear()
                await self._more.wait()

    async def ended(self) -> int:
        """The exit status."""
        async with asyncio.timeout(30):
            return await self.process.wait()

    def hear(self) -> None:
        """Take in what was written."""
        with suppress(OSError):  # the command has ended
            self.written += os.read(self._end, 1 << 16)
            self._more.set()


@asynccontextmanager
async def at_terminal(*words: str, rows: int = 24, columns: int = 100, **knobs: str) -> AsyncIterator[Terminal]:
    """`mneme` with these words, on a terminal of this size; ended at the end."""
    end, line = pty.openpty()
    fcntl.ioctl(line, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    env = {name: value for name, value in os.environ.items() if not name.startswith("MNEME_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", *words),
        cwd=ROOT,
        env=env | {"TERM": "xterm", "LC_ALL": "C.UTF-8"} | knobs,
        stdin=line,
        stdout=line,
        stderr=line,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # so that Ctrl-C is for it
    )
    os.close(line)
    terminal, loop = Terminal(process, end), asyncio.get_running_loop()
    loop.add_reader(end, terminal.hear)
    try:
        yield terminal
    finally:
        loop.remove_reader(end)
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(end)
