"""Memories as lines of text: one each in a list, one at length, and as JSON. Pure."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.terminal.lines import Line, Style, flat, pad, plain, wrap
from gateway.terminal.shelf import Found, Told
from gateway.wording import moment

_INDENT = 2


def row(found: Found, style: Style = "") -> Line:
    """When it was said, what it is, and what it says; before it its score, if it was searched for."""
    memory = found.memory
    score = "" if found.score is None else f"{found.score:7.3f}  "
    quiet: Style = style or "dim"
    return [
        (score, style or "bold"),
        (f"{moment(memory['at']):<16}  {pad(memory['kind'], 11)} ", quiet),
        (_marks(found), style or "bad"),
        (flat(memory["text"]), style),
    ]


def page(told: Told, room: int) -> list[Line]:
    """One memory at length: its texts, what it rests on, what it said before."""
    memory = told.memory
    lines: list[Line] = [[(line, "bold")] for line in wrap(memory["text"], room)]
    if memory["reply"]:
        lines += _quoted("Answered", memory["reply"], room)
    lines.append([])
    for name, value in _facts(memory):
        lines.append([(f"{name:<9} ", "dim"), (value, "")])
    lines += [[], [("What it rests on", "bold")]]
    for turn in told.turns:
        lines.append([(f"{moment(turn['at'])}  session {plain(turn['session'])}", "dim")])
        lines += _quoted("User", turn["user_text"], room)
        lines += _quoted("Assistant", turn["reply_text"], room) if turn["reply_text"] else []
    if not told.turns:
        lines.append([("Nothing that the journal holds: a note, imported, or erased.", "dim")])
    lines += [[], [("What it said before", "bold")]]
    for version in told.versions[:-1]:
        lines.append([(f"version {version['version']}, until {moment(version['until'])}", "dim")])
        lines += [[(" " * _INDENT + line, "")] for line in wrap(version["text"], room - _INDENT)]
    if len(told.versions) < 2:
        lines.append([("This is what it has always said.", "dim")])
    return lines


def as_json(found: Found) -> str:
    """One line for programs, in ASCII: nothing in it can steer a terminal."""
    scored = {} if found.score is None else {"score": found.score, "dropped": found.dropped}
    return json.dumps({**scored, "memory": found.memory}, ensure_ascii=True, allow_nan=False)


def _marks(found: Found) -> str:
    memory = found.memory
    marks = [memory["status"]] if memory["status"] != "active" else []
    marks += ["pinned"] if memory["pinned"] else []
    marks += [f"not told: {found.dropped}"] if found.dropped else []
    return f"({', '.join(marks)}) " if marks else ""


def _facts(memory: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "kind", memory["kind"]
    yield "status", memory["status"] + (", pinned" if memory["pinned"] else "")
    yield "told by", memory["trust"]
    yield "said", moment(memory["at"])
    yield "changed", moment(memory["updated"])
    yield "version", str(memory["version"])
    if memory["session"]:
        yield "session", memory["session"]
    if memory["thought"]:
        yield "made by", f"{memory['thought']['policy']}, confidence {memory['thought']['confidence']:.2f}"
    if memory["use"]:
        yield "used", f"{memory['use']['count']} times, strength {memory['use']['strength']:.2f}"
    yield "id", memory["id"]


def _quoted(who: str, text: str, room: int) -> list[Line]:
    first, *rest = wrap(f"{who}: {text}", room - _INDENT)
    return [[(" " * _INDENT + line, "")] for line in (first, *rest)]
