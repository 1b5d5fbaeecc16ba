"""All I/O seams of memory on one screen. Says what an adapter must promise; never which adapter there is.

Every adapter raises MemoryUnavailable (and nothing foreign) when its engine fails. Scopes match exactly: ids are opaque
strings that may hold any character. All calls are safe to make concurrently.
"""

from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gateway.memory.filters import EVERYTHING, Filter
from gateway.memory.records import (
    Candidate,
    Dead,
    Entry,
    Kept,
    Lag,
    Memory,
    Page,
    Placed,
    Query,
    Scope,
    Standing,
    Trace,
    Turn,
    Vector,
)


class MemoryStore(Protocol):
    """Where memories and their vectors live."""

    async def put(self, entries: Sequence[Entry]) -> None:
        """Insert or replace by memory id. Durable against process death on return."""

    async def amend(self, memories: Sequence[Memory]) -> None:
        """Replace memories by id and leave their vectors: for what no vector rests on, such as a status or a pin. One
        that is not there stays so. Durable as `put` is."""

    async def search(self, scope: Scope, query: Query, limit: int) -> list[Candidate]:
        """At most `limit` active memories, most promising first, each with all its signals: of the union of the four
        signals' `limit` best those with the greatest sum of standard scores, of equals the lower ids (see fuse).

        Beside them, where the query names times: of those said within its periods the `fuse.IN_TIME` nearest by
        dense_near, and of its first or last turns `fuse.AT_AN_END`, by seq.

        A store may choose by the signals that found a memory, and find approximately. BM25 weighs terms by their rarity
        among the scope's active memories; in a scope of thousands a store may count otherwise. Where the query looks
        back, what had been said by then stands in the place of what is active.
        """

    async def get(self, scope: Scope, ids: Sequence[str]) -> list[Memory]:
        """Those of `ids` that exist in the scope, in the order asked."""

    async def browse(
        self,
        scope: Scope,
        only: Filter = EVERYTHING,
        *,
        latest: bool = False,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Memory]:
        """Those memories of the scope, page by page: in a fixed order of the store's own, or the latest said first. A
        cursor is for the order that gave it. What is there all the while, and said when it was, is told once."""

    async def neighbours(self, scope: Scope, session: str, first: int, last: int, radius: int) -> list[Memory]:
        """All memories of the session's turns from seq `first` to `last` and of up to `radius` turns on either side, by
        seq and id. A long turn is several memories of one seq. Notes, and what has no seq (0), stand in no line."""

    async def delete(self, scope: Scope, ids: Sequence[str]) -> int:
        """Remove; how many of `ids` existed in the scope."""

    async def forget(self, scope: Scope) -> int:
        """Remove everything of the scope; how many memories it was."""

    async def count(self, scope: Scope, only: Filter = EVERYTHING) -> int:
        """How many such memories the scope has."""

    async def users(self, tenant: str) -> dict[str, int]:
        """Users of the tenant and how many memories each has."""

    async def tenants(self) -> list[str]:
        """Every tenant that has memories, in the order of their names."""

    async def settled(self) -> None:
        """Return once whatever the store builds in the background, to answer faster, is built or given up."""

    async def ping(self) -> None:
        """Raise MemoryUnavailable unless the store answers."""


class Indexes(Protocol):
    """All indexes of one installation, one per embedder, whether this process uses them or not."""

    @property
    def plain(self) -> str:
        """The name of the first one; the others' begin like it."""

    async def found(self) -> list[Standing]:
        """Those that there are, by name. DataDirectoryRefused when one of them is damaged."""

    async def fall_behind(self, name: str) -> str:
        """From now on somebody writes who does not write here: the mark that stands on it, a new one each time. It is
        FILLING on an index that was made beside another one, until the first such call."""

    async def catch_up(self, name: str, mark: str) -> bool:
        """It holds everything again, as far as that mark goes; False, and nothing is changed, when another one stands
        there."""

    async def drop(self, name: str) -> None:
        """Remove it with all that it holds. DataDirectoryRefused when somebody uses it and that can be known."""


class SessionStore(Protocol):
    """What was said where: per-turn placements and traces."""

    async def placed(self, scope: Scope, chains: Sequence[str]) -> dict[str, Placed]:
        """Those of `chains` that are known, by chain."""

    async def place(self, scope: Scope, chain: str, placed: Placed, began: float | None = None) -> None:
        """Remember what happened at a turn. Seen by all calls at once; durable no later than a turn appended after.
        Nothing where the scope was forgotten since the turn `began`, see Journal.append."""

    async def sessions(
        self, scope: Scope, *, cursor: str | None = None, limit: int = 50
    ) -> Page[tuple[str, int, float]]:
        """(session, turns placed, last time) of the scope, latest first."""

    async def placements(
        self, scope: Scope, session: str, *, cursor: str | None = None, limit: int = 50
    ) -> Page[Placed]:
        """What happened at each turn of the session, earliest first."""

    async def chained(self, scope: Scope, *, cursor: str | None = None, limit: int = 50) -> Page[tuple[str, Placed]]:
        """All placements of the scope under their chains, about `limit` at a time. What is there all the while is told,
        whatever is placed meanwhile; it may be told twice."""

    async def trace(self, trace: Trace, began: float | None = None) -> None:
        """Keep a trace; the oldest beyond the configured number go. Never waits for the disk. Nothing where the scope
        was forgotten since its turn `began`."""

    async def traces(self, scope: Scope, *, session: str | None = None, limit: int = 50) -> list[Trace]:
        """Latest first."""

    async def find_trace(self, tenant: str, id: str) -> Trace | None:
        """One trace by its id."""

    async def erase_turns(self, scope: Scope, turns: Sequence[str]) -> None:
        """Remove placements and traces that rendered or belong to these turn ids: their text must not come back."""

    async def users(self, tenant: str, *, cursor: str | None = None, limit: int = 50) -> Page[str]:
        """Every user of the tenant who has placements or traces, in a fixed order."""

    async def expire(self, scope: Scope, before: float) -> int:
        """Remove the scope's placements and traces from before that moment (seconds since the epoch); how many."""

    async def count(self, scope: Scope) -> int:
        """How many records (placements, traces) the scope has, queued ones included."""

    async def forget(self, scope: Scope) -> int:
        """Remove everything of the scope; how many records it was."""

    async def ping(self) -> None:
        """Raise MemoryUnavailable unless the store answers."""


class Journal(Protocol):
    """Turns, durably, from the moment the client sees the end of the answer."""

    async def append(self, turn: Turn, began: float | None = None) -> int:
        """Insert or replace by turn id, as pending; its seq (kept when replaced). Durable on return as configured.

        0, and nothing is kept, where the scope was forgotten since the turn `began`: a moment of this process's
        monotonic clock, None where nobody knows it. What a turn under way brings must not come after the certificate.
        """

    async def claim(self, limit: int) -> list[Turn]:
        """Up to `limit` pending turns that are due, oldest first. Between claims of one journal it is no lock: the same
        turns come again until they are done or fail, or somebody waits to hold their user: then the claim lets go.

        Where several processes may share a journal it is a lease on the users whose turns these are: no other process
        is given any of theirs until they are done or fail, or this process has died and its lease is over. Elsewhere:
        one writer per journal.
        """

    def hold(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        """While it is held no claim is given turns of this scope, in whatever process, and nobody else holds it. Not to
        be entered again from within.

        Waits for who has the user now. MemoryUnavailable when they do not come to an end, and when the journal could
        not be told in time that the holder lives: then the block is cancelled. A holder that died holds only until its
        lease is over.
        """

    async def done(self, turns: Sequence[Turn]) -> None:
        """These were indexed. A turn replaced since it was claimed stays pending."""

    async def fail(self, turn: Turn, error: str, *, attempts: int, delay: float) -> bool:
        """One more failed try: due again after `delay` seconds, or dead after `attempts` tries. True if dead now."""

    async def pending(self, scope: Scope, limit: int = 50) -> list[Turn]:
        """The scope's latest turns that are not indexed yet (dead ones included), latest first."""

    async def turns(self, scope: Scope, ids: Sequence[str]) -> list[Turn]:
        """Those of `ids` that the scope has, in the order asked: the evidence behind a memory."""

    async def scopes(self, *, tenant: str | None = None, cursor: str | None = None, limit: int = 50) -> Page[Scope]:
        """Every user who has turns, whatever their state, in a fixed order; of one tenant if named."""

    async def kept(self, scope: Scope, *, cursor: str | None = None, limit: int = 50) -> Page[Kept]:
        """The scope's turns, whatever their state, by seq."""

    async def put_back(self, scope: Scope, kept: Sequence[Kept]) -> None:
        """Take in turns that a journal gave out, with their state, error, tries and seq; pending ones are due at once.
        A known id is left alone. The running number goes on beyond them; a turn whose number another one has that was
        told meanwhile gets a new one, where that number still counts. Durable on return."""

    async def dead(self, *, cursor: str | None = None, limit: int = 50) -> Page[Dead]:
        """Turns that could not be indexed, oldest first."""

    async def replay(self, ids: Sequence[str]) -> int:
        """Make dead turns pending again (all of them for an empty list); how many."""

    async def lag(self) -> Lag:
        """How far behind the writer is."""

    async def count(self, scope: Scope) -> int:
        """How many turns the scope has, whatever their state, queued ones included."""

    async def erase(self, scope: Scope, ids: Sequence[str]) -> int:
        """Remove turns; how many existed."""

    async def expire(self, scope: Scope, before: float, *, sparing: Collection[str] = ()) -> int:
        """Remove the scope's turns that were indexed and said before that moment (seconds since the epoch), but not
        those whose ids are in `sparing`; how many. What is not indexed stays, however old, and so does what is damaged:
        nobody can tell when it was said."""

    async def forget(self, scope: Scope) -> int:
        """Remove everything of the scope; how many turns it was."""

    async def ping(self) -> None:
        """Raise MemoryUnavailable unless the journal answers."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where an embedder finds its model: a directory for files of its own, and an endpoint where it needs one."""

    cache: Path
    url: str = ""
    model: str = ""
    key: str = ""


class Embedder(Protocol):
    """Text to unit vectors."""

    @property
    def identity(self) -> str:
        """Name and version of the model; stamped on the data directory."""

    @property
    def dimension(self) -> int:
        """Length of every vector."""

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """One unit-length vector per text, in order. Any text is accepted, also an empty one."""

    async def forget(self) -> None:
        """Drop whatever is kept of past texts."""

    async def ping(self) -> None:
        """Raise MemoryUnavailable unless the embedder answers."""
