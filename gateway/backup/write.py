"""Writes a backup while everything is in use: page by page, no user whole. Knows no HTTP and asks only ports.

What order makes it whole. Of a user first turns, then memories: a turn that was indexed when it was told has its
memories in the store, and they are told later; one that was not is told as pending, and a restore indexes it again,
to the same effect. Then the turns that came meanwhile, as pending whatever has become of them: their memories may have
been written where the walk had already been. Then placements, since a turn is placed before it is journalled.
"""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from gateway import __version__
from gateway.backup.lines import FORMAT, Head, Issued, Placement, Record, Tally, encode
from gateway.memory.curate import Curator
from gateway.memory.records import Page, Scope
from gateway.tenants.ports import Registry

T = TypeVar("T")
_PAGE = 100


async def written(curator: Curator, registry: Registry) -> AsyncIterator[bytes]:
    """The lines, in pieces of a page at most. MemoryUnavailable when a store fails: then there is no last line.

    Holds a digest of every user, which is about a hundred bytes each, and of one tenant at a time the users' names."""
    tally = Tally()
    yield encode(Head(FORMAT, __version__, curator.embedder.identity, curator.clock()))
    async for records in _everything(curator, registry):
        for record in records:
            tally.add(record)
        yield b"".join(map(encode, records))
    yield encode(tally.counts)


async def _everything(curator: Curator, registry: Registry) -> AsyncIterator[Sequence[Record]]:
    async for tenants in _pages(lambda at: registry.tenants(cursor=at, limit=_PAGE)):
        yield tenants.items
    async for keys in _pages(lambda at: registry.issued(cursor=at, limit=_PAGE)):
        yield [Issued(digest.hex(), card) for digest, card in keys.items]
    async for scope in _scopes(curator):
        async for records in _user(curator, scope):
            yield records


async def _scopes(curator: Curator) -> AsyncIterator[Scope]:
    """Every user who has memories or turns, once: many have both, or get the other meanwhile."""
    told: set[bytes] = set()
    for tenant in await curator.memories.tenants():
        for user in sorted(await curator.memories.users(tenant)):
            told.add(_digest(Scope(tenant, user)))
            yield Scope(tenant, user)
    async for scopes in _pages(lambda at: curator.journal.scopes(cursor=at, limit=_PAGE)):
        for scope in scopes.items:
            if _digest(scope) not in told:
                yield scope


async def _user(curator: Curator, scope: Scope) -> AsyncIterator[Sequence[Record]]:
    latest, seen = None, 0
    async for turns in _pages(lambda at: curator.journal.kept(scope, cursor=at, limit=_PAGE)):
        yield turns.items
        latest, seen = turns.cursor or latest, max([seen, *(kept.turn.seq for kept in turns.items)])
    async for memories in _pages(lambda at: curator.memories.browse(scope, cursor=at, limit=_PAGE)):
        yield memories.items
    async for turns in _pages(lambda at: curator.journal.kept(scope, cursor=at, limit=_PAGE), latest):
        late = [kept for kept in turns.items if kept.turn.seq > seen]
        yield [replace(kept, state="pending", error="", attempts=0) for kept in late]
    async for placements in _pages(lambda at: curator.sessions.chained(scope, cursor=at, limit=_PAGE)):
        yield [Placement(scope, chain, placed) for chain, placed in placements.items]


async def _pages(ask: Callable[[str | None], Awaitable[Page[T]]], start: str | None = None) -> AsyncIterator[Page[T]]:
    page = await ask(start)
    yield page
    while page.cursor is not None:
        page = await ask(page.cursor)
        yield page


def _digest(scope: Scope) -> bytes:
    """Of both parts, kept apart; to know a user again without holding the name."""
    parts = [part.encode("utf-8", "surrogatepass") for part in (scope.tenant, scope.user)]
    return hashlib.blake2b(b"%d:" % len(parts[0]) + b"".join(parts), digest_size=16).digest()
