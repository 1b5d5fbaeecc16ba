"""`mneme memories` on a terminal, as keys change it: a list, one memory at length, a question. Knows no terminal: it is
told of keys, and gives lines."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal

from gateway.errors import MnemeError
from gateway.terminal import listing
from gateway.terminal.lines import Line, columns
from gateway.terminal.shelf import Found, Shelf, Told

Mode = Literal["list", "one", "ask"]

_HINTS: Mapping[Mode, str] = {
    "list": "j k move  Enter shows  / searches  a archives  u undoes  q quits",
    "one": "j k scroll  Esc back  a archives  u undoes  q quits",
    "ask": "Enter searches (nothing: the latest)  Esc leaves it",
}
_FRAME = 2  # a line above, a line below
_STEPS = {"j": 1, "down": 1, "k": -1, "up": -1}
_FAR = 1 << 30


class Browser:
    """What is shown. `left` is set once it is to end."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._mode: Mode = "list"
        self._found: list[Found] = []
        self._cursor: str | None = None
        self._at = 0
        self._top = 0
        self._one: Told | None = None
        self._scrolled = 0
        self._question = ""
        self._draft = ""
        self._note = ""
        self._archived: list[str] = []
        self._height = 1
        self.left = False

    async def search(self, question: str) -> None:
        """Show what it finds; the latest for "". What is refused is raised."""
        if question:
            self._found, self._cursor = await self._shelf.search(question), None
        else:
            self._found, self._cursor = await self._shelf.latest()
        self._question, self._mode, self._at, self._top = question, "list", 0, 0

    async def press(self, key: str) -> None:
        """What a key does. What the gateway refuses is told on the last line."""
        self._note = ""
        try:
            if self._mode == "ask":
                await self._type(key)
            elif key == "q":
                self.left = True
            elif act := self._acts().get(key):
                await act()
            else:
                await self._move(key)
        except MnemeError as refused:
            self._note = refused.message

    def lines(self, rows: int, room: int) -> list[Line]:
        """The whole screen."""
        self._height = max(rows - _FRAME, 1)
        body = self._page(room) if self._mode == "one" else self._list()
        body += [[]] * (self._height - len(body))
        return [self._head(), *body[: self._height], self._foot(room)]

    def _acts(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        acts = {"/": self._ask, "a": self._archive, "u": self._undo}
        if self._mode == "one":
            return acts | dict.fromkeys(("escape", "enter", "left", "backspace"), self._back)
        return acts | {"enter": self._show, "right": self._show}

    async def _ask(self) -> None:
        self._draft, self._mode = "", "ask"

    async def _back(self) -> None:
        self._mode = "list"

    async def _show(self) -> None:
        if self._found:
            self._one = await self._shelf.one(self._found[self._at].memory["id"])
            self._mode, self._scrolled = "one", 0

    async def _type(self, key: str) -> None:
        if key == "enter":
            await self.search(self._draft.strip())
        elif key == "escape":
            self._mode = "list"
        elif key == "backspace":
            self._draft = self._draft[:-1]
        elif len(key) == 1 and key.isprintable():
            self._draft += key

    async def _move(self, key: str) -> None:
        steps = _STEPS | {
            " ": self._height,
            "page down": self._height,
            "page up": -self._height,
            "g": -_FAR,
            "home": -_FAR,
            "G": _FAR,
            "end": _FAR,
        }
        if key not in steps:
            return
        if self._mode == "one":
            self._scrolled = max(self._scrolled + steps[key], 0)
            return
        if self._cursor and self._at + steps[key] >= len(self._found):
            more, self._cursor = await self._shelf.latest(self._cursor)
            self._found += more
        self._at = max(min(self._at + steps[key], len(self._found) - 1), 0)

    async def _archive(self) -> None:
        if not self._found:
            return
        memory = self._found[self._at].memory
        if memory["status"] != "active":
            self._note = f"It is {memory['status']} already."
            return
        self._replace(await self._shelf.mark(memory, "archived"))
        self._archived.append(memory["id"])
        self._note = "Archived: it is recalled no more. u takes that back."

    async def _undo(self) -> None:
        """The last one that was archived here; or else the current one, if it is."""
        if self._archived:
            memory = (await self._shelf.one(self._archived[-1])).memory
        elif self._found and self._found[self._at].memory["status"] == "archived":
            memory = self._found[self._at].memory
        else:
            self._note = "There is nothing to undo."
            return
        self._replace(await self._shelf.mark(memory, "active"))
        self._archived = self._archived[:-1]
        self._note = "It is recalled again."

    def _replace(self, memory: Mapping[str, Any]) -> None:
        """Show it as it is now, wherever it is shown."""
        self._found = [
            Found(memory, found.score, found.dropped) if found.memory["id"] == memory["id"] else found
            for found in self._found
        ]
        if self._one and self._one.memory["id"] == memory["id"]:
            self._one = Told(memory, self._one.turns, self._one.versions)

    def _head(self) -> Line:
        which = self._shelf.which
        of = " ".join(value for value in (which.session, which.kind) if value)
        told = f'"{self._question}", best first' if self._question else "latest first"
        count = f"{len(self._found)}{'+' if self._cursor else ''}"
        at = f"{self._at + 1} of {count}" if self._found else "none"
        return [(f"{which.tenant} / {which.user}  ", "bold"), (f"{of}  {told}  {at}", "dim")]

    def _list(self) -> list[Line]:
        self._top = min(max(self._top, self._at - self._height + 1), self._at)
        if not self._found:
            return [[("Nothing matches." if self._question else "Nothing is remembered.", "dim")]]
        seen = self._found[self._top : self._top + self._height]
        return [
            listing.row(found, "current" if at == self._at else "") for at, found in enumerate(seen, start=self._top)
        ]

    def _page(self, room: int) -> list[Line]:
        lines = listing.page(self._one, room) if self._one else []
        self._scrolled = max(min(self._scrolled, len(lines) - self._height), 0)
        return lines[self._scrolled :]

    def _foot(self, room: int) -> Line:
        if self._mode == "ask":
            hint = _HINTS["ask"]
            return [(f"/{self._draft[-(room - columns(hint) - 4) :]}", "bold"), ("▏  ", ""), (hint, "dim")]
        return [(self._note, "bold")] if self._note else [(_HINTS[self._mode], "dim")]
