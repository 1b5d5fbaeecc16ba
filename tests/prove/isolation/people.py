"""Tenants and users with names that look alike, and the words that tell whose a fact is. Knows no gateway.

A canary is a word that nobody else has: it names who made it. Whoever has said one, in whatever way, may be told it
again; everybody else may not, and who was forgotten has said nothing any more.
"""

import asyncio
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

CANARY = re.compile(rb"canary-\d+-\d+-\d+z")
OP = re.compile(rb"op-(\d+)-")
WALRUS = b"walrusquux"
"""Part of a user's name, which may stand in no log line and no metric."""

_TENANTS = (
    "acme",
    "acm",
    "acme2",
    "ACME",
    "acme*",
    "acme?",
    "[acme]",
    "{acme}",
    "acme/..",
    "../acme",
    "acme' OR '1'='1",
    'ac"me',
    "%61cme",
    "acmé",
    "acme\u0301",
    "\U0001f41d acme",
)
_USERS = (
    "ada",
    "ad",
    "ada2",
    "Ada",
    "ada*",
    "ad?",
    "[ad]a",
    "{ada}",
    "3:ada",
    "ada:bob",
    "ada,bob",
    "../ada",
    "ada' OR '1'='1",
    'ada"; --',
    "%61da",
    "áda",
    "a\u0301da",
    "ada\u0000bob",
    "\U0001f41d\nada",
    f"{WALRUS.decode()} ada",
)
_HISTORY = 6


@dataclass
class Person:
    """One user of one tenant. `key` opens `/v1` for the tenant. `said` are the canaries that they may be told; the rest
    is what the gateway told them, for somebody else to try: ids of memories, traces, watches and reflections, names of
    sessions, cursors by route. `taken` are other people's ids under which they keep something of their own. `lock`: one
    deed at a time."""

    place: tuple[int, int]
    tenant: str
    name: str
    key: str
    said: set[bytes] = field(default_factory=set)
    history: list[dict[str, str]] = field(default_factory=list)
    sessions: list[str] = field(default_factory=list)
    memories: list[str] = field(default_factory=list)
    traces: list[str] = field(default_factory=list)
    watches: list[str] = field(default_factory=list)
    reflections: list[str] = field(default_factory=list)
    cursors: dict[str, str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    own: list[str] = field(default_factory=list)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _made: int = 0

    def canary(self) -> str:
        """A new one, which they are about to say."""
        self._made += 1
        made = f"canary-{self.place[0]}-{self.place[1]}-{self._made}z"
        self.said.add(made.encode())
        return made

    def remember(self, *turn: dict[str, str]) -> None:
        """What a client of theirs resends the next time."""
        self.history = [*self.history, *turn][-_HISTORY:]

    def forgotten(self) -> None:
        """They have said nothing; the ids that they had are still tried by others."""
        self.said.clear()
        self.history.clear()
        self.own.clear()
        self.taken.clear()

    @property
    def shown(self) -> str:
        """In a finding."""
        return f"{self.name!r} of {self.tenant!r}"


def people(tenants: int, users: int) -> list[list[Person]]:
    """By tenant; every tenant has users of the same names."""
    names = [*islice(_named(_USERS), users)]
    return [
        [Person((i, j), tenant, name, f"key-{i}-of-tests") for j, name in enumerate(names)]
        for i, tenant in enumerate(islice(_named(_TENANTS), tenants))
    ]


def keys(crowd: Sequence[Sequence[Person]]) -> str:
    """As MNEME_KEYS wants them."""
    return ",".join(f"{users[0].key}:{users[0].tenant}" for users in crowd)


def canaries(data: bytes) -> Iterable[bytes]:
    """All that stand in it."""
    return CANARY.findall(data)


def _named(odd: Sequence[str]) -> Iterator[str]:
    yield from odd
    number = 1
    while True:  # each is the beginning of others
        yield f"{odd[0]}-{number}"
        number += 1
