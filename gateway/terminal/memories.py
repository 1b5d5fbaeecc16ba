"""`mneme memories`: what is remembered of one user, to be read and walked through. Decides only how to show it."""

import argparse
from collections.abc import AsyncIterator, Callable

from gateway.terminal import listing
from gateway.terminal.browser import Browser
from gateway.terminal.client import asking
from gateway.terminal.lines import printed
from gateway.terminal.shelf import PER_PAGE, Found, Shelf, Which, open_shelf
from gateway.terminal.top import on_terminal

Say = Callable[[str], None]

_STATUSES = ("active", "archived", "superseded", "any")


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes, beside --url."""
    parser.add_argument("question", nargs="?", default="", metavar="QUERY", help="search as recall does, best first")
    parser.add_argument("--tenant", default="", help="may be left out where there is only the local user")
    parser.add_argument("--user", default="")
    parser.add_argument("--session", default="", help="only of this conversation")
    parser.add_argument("--kind", default="", help="only turn, note, fact, …")
    parser.add_argument("--status", choices=_STATUSES, default="active")
    parser.add_argument("--limit", type=int, default=PER_PAGE, help=f"how many to print ({PER_PAGE})")
    parser.add_argument("--json", action="store_true", help="a JSON object a line, for programs")


async def run(url: str, key: str, given: argparse.Namespace, say: Say) -> None:
    """Walk through them on a terminal, print them elsewhere. Turned if the gateway refuses or does not answer."""
    which = Which(given.tenant, given.user, given.session, given.kind, given.status)
    async with asking(url, key) as admin:
        shelf = await open_shelf(admin, which)
        if not given.json and on_terminal():
            await _browse(shelf, given.question)
            return
        async for found in _all(shelf, given.question, given.limit):
            say(listing.as_json(found) if given.json else printed([listing.row(found)]))


async def _browse(shelf: Shelf, question: str) -> None:
    from gateway.terminal.screen import open_screen  # a Python without curses serves all the same

    browser = Browser(shelf)
    await browser.search(question)
    async with open_screen() as screen:
        while not browser.left:
            screen.draw(browser.lines(*screen.size))
            await browser.press(await screen.key())


async def _all(shelf: Shelf, question: str, limit: int) -> AsyncIterator[Found]:
    if question:
        for found in await shelf.search(question, limit):
            yield found
        return
    cursor: str | None = None
    while limit > 0:
        page, cursor = await shelf.latest(cursor, min(limit, PER_PAGE))
        for found in page:
            yield found
        limit -= len(page)
        if cursor is None:
            return
