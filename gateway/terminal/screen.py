"""The terminal itself, through curses: draws lines, hears keys, and leaves everything as it was. Knows no gateway."""

import asyncio
import curses
import locale
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

from gateway.errors import BadRequest
from gateway.terminal.lines import Line, Style, fit

RESIZED = "resized"
_STDIN = 0
_ESCAPE_MILLIS = 25  # a key that sends several characters sends them at once
_NAMES = {
    curses.KEY_UP: "up",
    curses.KEY_DOWN: "down",
    curses.KEY_LEFT: "left",
    curses.KEY_RIGHT: "right",
    curses.KEY_PPAGE: "page up",
    curses.KEY_NPAGE: "page down",
    curses.KEY_HOME: "home",
    curses.KEY_END: "end",
    curses.KEY_ENTER: "enter",
    curses.KEY_BACKSPACE: "backspace",
    "\n": "enter",
    "\r": "enter",
    "\x1b": "escape",
    "\x7f": "backspace",
    "\b": "backspace",
}


class Screen:
    """A whole terminal."""

    def __init__(self, window: "curses.window", styles: Mapping[Style, int]) -> None:
        self._window = window
        self._styles = styles
        self._keys: asyncio.Queue[str] = asyncio.Queue()

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns that may be drawn on."""
        rows, columns = self._window.getmaxyx()
        return rows, max(columns - 1, 1)  # to write the last cell of all would scroll

    def draw(self, lines: Sequence[Line]) -> None:
        """These lines and nothing else; what does not fit is left out."""
        rows, room = self.size
        self._window.erase()
        for row, line in enumerate(lines[:rows]):
            with suppress(curses.error):  # the terminal has shrunk this moment, and says so next
                self._window.move(row, 0)
                for text, style in fit(line, room):
                    self._window.addstr(self._writable(text), self._styles[style])
        self._window.refresh()

    async def key(self) -> str:
        """The next key: its character, or its name in small letters; RESIZED is one too."""
        return await self._keys.get()

    def hear(self) -> None:
        """Take in what was typed."""
        while True:
            try:
                key = self._window.get_wch()
            except curses.error:  # nothing more
                return
            name = _NAMES.get(key, key)
            if isinstance(name, str):
                self._keys.put_nowait(name)

    def resize(self) -> None:
        """Take on the terminal's size."""
        with suppress(OSError, curses.error):
            columns, rows = os.get_terminal_size()
            curses.resizeterm(rows, columns)
        self._window.clear()
        self._keys.put_nowait(RESIZED)

    def _writable(self, text: str) -> str:
        return text.encode(self._window.encoding, "replace").decode(self._window.encoding)


@asynccontextmanager
async def open_screen() -> AsyncIterator[Screen]:
    """The terminal, until the end of the block. BadRequest for one that nobody knows how to steer."""
    loop = asyncio.get_running_loop()
    locale.setlocale(locale.LC_ALL, "")
    try:
        window = curses.initscr()
    except curses.error as unknown:
        raise BadRequest(f"This terminal cannot be drawn on ({unknown}): set TERM, or print instead.") from unknown
    try:
        curses.noecho()
        curses.cbreak()
        curses.set_escdelay(_ESCAPE_MILLIS)
        window.keypad(True)
        window.nodelay(True)
        with suppress(curses.error):  # some cannot hide it
            curses.curs_set(0)
        screen = Screen(window, _styles())
        loop.add_reader(_STDIN, screen.hear)
        loop.add_signal_handler(signal.SIGWINCH, screen.resize)
        yield screen
    finally:
        loop.remove_reader(_STDIN)
        loop.remove_signal_handler(signal.SIGWINCH)
        window.keypad(False)
        curses.echo()
        curses.nocbreak()
        curses.endwin()


def _styles() -> dict[Style, int]:
    """What each style looks like here; colour only adds to words that say the same."""
    styles: dict[Style, int] = {
        "": curses.A_NORMAL,
        "bold": curses.A_BOLD,
        "dim": curses.A_DIM,
        "good": curses.A_NORMAL,
        "bad": curses.A_BOLD,
        "current": curses.A_REVERSE,
    }
    if curses.has_colors() and "NO_COLOR" not in os.environ:
        curses.start_color()
        curses.use_default_colors()
        for pair, (style, colour) in enumerate({"good": curses.COLOR_GREEN, "bad": curses.COLOR_RED}.items(), 1):
            curses.init_pair(pair, colour, -1)
            styles[style] |= curses.color_pair(pair)  # type: ignore[index]  # the names of two styles
    return styles
