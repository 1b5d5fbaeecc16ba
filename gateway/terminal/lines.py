"""Lines as a terminal shows them: runs of text with a style, cut and wrapped by columns. Pure; knows no terminal.

Whatever is shown passes `plain`, so that nothing which a user, a model or a worker wrote can move a cursor, change a
title, or turn text around.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from gateway.wording import visible

Style = Literal["", "bold", "dim", "good", "bad", "current"]
Line = Sequence[tuple[str, Style]]


def plain(text: object) -> str:
    """The text with a name in place of everything that is no visible character: ⟨U+001B⟩."""
    return visible(text)


def flat(text: str) -> str:
    """The same on one line."""
    return plain(" ".join(text.split()))


def columns(text: str) -> int:
    """How many columns it takes."""
    return sum(map(_width, text))


def cut(text: str, room: int) -> str:
    """As much of it as fits; what is cut says so."""
    if columns(text) <= room:
        return text
    kept, taken = [], 0
    for char in text:
        taken += _width(char)
        if taken > room - 1:
            break
        kept.append(char)
    return "".join(kept) + "…" if room > 0 else ""


def pad(text: str, room: int) -> str:
    """Plain, cut to a column of that width, and filled up with spaces."""
    told = cut(plain(text), room)
    return told + " " * (room - columns(told))


def fit(line: Line, room: int) -> list[tuple[str, Style]]:
    """The line, plain, and no longer than the room."""
    fitted: list[tuple[str, Style]] = []
    for text, style in line:
        told = cut(plain(text), room)
        fitted.append((told, style))
        room -= columns(told)
        if room <= 0:
            break
    return fitted


def wrap(text: str, room: int) -> list[str]:
    """The text in lines no longer than the room, broken between words where there are any."""
    return [line for paragraph in text.split("\n") for line in _wrapped(plain(paragraph), max(room, 2))]


def printed(lines: Iterable[Line]) -> str:
    """Lines without styles, for what is no terminal."""
    return "\n".join("".join(plain(text) for text, _ in line).rstrip() for line in lines)


def _wrapped(text: str, room: int) -> Iterator[str]:
    line = ""
    for word in text.split(" "):
        while columns(word) > room:
            if line:
                yield line
                line = ""
            head = _head(word, room)
            yield head
            word = word[len(head) :]  # what is left of it
        longer = f"{line} {word}" if line else word
        if columns(longer) > room:
            yield line
            longer = word
        line = longer
    yield line


def _head(word: str, room: int) -> str:
    taken = 0
    for at, char in enumerate(word):
        taken += _width(char)
        if taken > room:
            return word[:at]
    return word


def _width(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
