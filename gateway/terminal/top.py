"""`mneme top`: how a running gateway fares, anew every few seconds, or once. Asks and draws; reckons nothing."""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gateway.errors import MnemeError
from gateway.terminal.client import Admin, asking
from gateway.terminal.figures import Told, picture
from gateway.terminal.lines import Line, printed

if TYPE_CHECKING:
    from gateway.terminal.screen import Screen

Say = Callable[[str], None]

_MINUTE = 60.0
_SELDOM = 10.0  # users and memories are counted for it
_LEAST = 0.5


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes, beside --url."""
    parser.add_argument("--every", type=_seconds, default=2.0, metavar="SECONDS", help="how often to look (2)")
    parser.add_argument("--once", action="store_true", help="print it once; so too where output is no terminal")


async def run(url: str, key: str, given: argparse.Namespace, say: Say) -> None:
    """Show it until q. Turned if the gateway refuses or does not answer at first; later the screen says so."""
    async with asking(url, key) as admin:
        sight = _Sight(admin, url)
        await sight.look()
        if given.once or not on_terminal():
            say(printed(sight.lines()))
            return
        from gateway.terminal.screen import open_screen  # a Python without curses serves all the same

        async with open_screen() as screen, asyncio.TaskGroup() as group:
            looking = group.create_task(sight.follow(screen, given.every))
            screen.draw(sight.lines())
            while await screen.key() not in ("q", "escape"):
                screen.draw(sight.lines())
            looking.cancel()


def on_terminal() -> bool:
    """Whether somebody sits there, at a terminal that can be drawn on."""
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


class _Sight:
    """What was seen last."""

    def __init__(self, admin: Admin, url: str) -> None:
        self._admin = admin
        self._url = url
        self._stats: Mapping[str, Any] = {}
        self._counted = 0.0
        self._told: Told | None = None

    def lines(self) -> list[Line]:
        return picture(self._told) if self._told else []

    async def look(self) -> None:
        """Ask anew. Turned."""
        now = time.monotonic()
        if not self._stats or now - self._counted >= _SELDOM:
            self._stats, self._counted = await self._admin.get("/stats"), now
        vitals, workers, health = await asyncio.gather(
            self._admin.get("/vitals", since=self._since()),
            self._admin.get("/workers"),
            self._admin.health(),
        )
        self._told = Told(self._url, health, vitals, self._stats, workers)

    def _since(self) -> float:
        """By the gateway's own clock: a minute before its last beat."""
        beats = self._told.vitals["beats"] if self._told else ()
        return float(beats[-1]["at"]) - _MINUTE - 1 if beats else 0.0

    async def follow(self, screen: "Screen", every: float) -> None:
        """Look and draw, again and again."""
        while True:
            await asyncio.sleep(every)
            try:
                await self.look()
            except MnemeError as failed:
                self._told = replace(self._told, away=failed.message) if self._told else None
            screen.draw(self.lines())


def _seconds(text: str) -> float:
    seconds = float(text)
    if not _LEAST <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"between {_LEAST} and 3600")
    return seconds
