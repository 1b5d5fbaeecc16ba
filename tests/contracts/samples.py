"""Ids that break things, and small records to fill stores with."""

import random
from typing import Any

from gateway.memory.records import Entry, Hit, Memory, Placed, Query, Scope, Sparse, Trace, Turn, Vector

DIMENSION = 8
TRACES_KEPT = 20
ADA, BOB = Scope("acme", "ada"), Scope("acme", "bob")
LOOKALIKES = [
    Scope("a", "b:c"),
    Scope("a:b", "c"),
    Scope("a", "b"),
    Scope("a", "B"),
    Scope("a", "b\0"),
    Scope("a", ""),
    Scope("", "a"),
    Scope("", ""),
    Scope("a", "*"),
    Scope("a", "%"),
    Scope("a", "\udc80"),
    Scope("a", "\\udc80"),
    Scope("a", "\ud83d\ude00"),
    Scope("a", "\U0001f600"),
    Scope("a", "\u00e9"),
    Scope("a", "e\u0301"),
    Scope("a", '"],["'),
    Scope('a"],["', ""),
    Scope("a\0b", "c"),
    Scope("a", "x" * 512),
]
"""Scopes that a careless key would take for one another."""

NO_CURSORS = ["", "nonsense", "!!!!", "AAAA", "-1", "1.5", "9" * 30, "MTIz", "\0", "\udc80", "\u00e9" * 22, "\u00b2"]
"""No list gave these out."""
IDS = [
    "",
    "plain",
    "*",
    "%",
    "_",
    "'",
    '"',
    "a:b",
    "a/b?c#d",
    "\n",
    "a\0b",
    "\udc80",
    "\\udc80",
    "\ud83d\ude00",
    "\U0001f600",
    "x" * 512,
]


def vector(*parts: float) -> Vector:
    """The unit vector along these first coordinates."""
    whole = [*parts, *[0.0] * (DIMENSION - len(parts))]
    length = sum(x * x for x in whole) ** 0.5
    return [x / length for x in whole]


def memory(id: str, scope: Scope = ADA, session: str = "s", **fields: Any) -> Memory:
    """A memory that says its own id."""
    return Memory(**{"id": id, "scope": scope, "session": session, "text": f"text of {id}", "sources": (id,), **fields})


def entry(memory: Memory, *, turn: Vector | None = None, near: Vector | None = None, words: str = "") -> Entry:
    """With vectors; without `words` it has no terms at all."""
    sparse = terms(words)
    return Entry(memory, {"turn": turn or vector(1), "near": near or vector(1)}, {"turn": sparse, "near": sparse})


def terms(words: str) -> Sparse:
    """One term per letter, each of weight 1."""
    found = sorted({ord(letter) for letter in words})
    return Sparse(tuple(found), (1.0,) * len(found))


def query(dense: Vector, words: str = "") -> Query:
    """A question."""
    return Query(dense, terms(words))


def turn(id: str, scope: Scope = ADA, session: str = "s", **fields: Any) -> Turn:
    """A turn that says its own id."""
    known = {"chain": f"chain of {id}", "at": 1.0, "user_text": f"text of {id}", "reply_text": "reply"}
    return Turn(**{"id": id, "scope": scope, "session": session, **known, **fields})


def placed(turn: str, *memories: str, session: str = "s", at: float = 1.0) -> Placed:
    """What rendered these memories."""
    return Placed(session, turn, " ".join(f"text of {id}" for id in memories), memories, at)


def trace(id: str, scope: Scope = ADA, turn: str = "t", *hits: str, session: str = "s") -> Trace:
    """A trace whose hits were injected."""
    found = tuple(Hit(memory(hit, scope), 1.0, {"dense_turn": 0.5}) for hit in hits)
    text = " ".join(hit.memory.text for hit in found)
    return Trace(id, scope, session, turn, 1.0, "question", "on", "verbatim", found, 7, {"recall": 1.5}, (), text)


def shuffled(count: int) -> list[str]:
    """Ids in an order that is not theirs."""
    ids = [f"m{number:03}" for number in range(count)]
    random.Random(7).shuffle(ids)
    return ids
