"""The registry in the embedded database. Its tables stand in schema.py, with the triggers by which acts stay."""

import sqlite3
from dataclasses import replace
from typing import Any

from gateway.memory.records import Page
from gateway.memory.stores.codec import Codec, blob, text
from gateway.memory.stores.sqlite.database import Database
from gateway.tenants.records import Act, KeyCard, Logged, Tenant
from gateway.tenants.stores import paging

_tenants, _cards, _acts = Codec(Tenant), Codec(KeyCard), Codec(Act)
_LARGEST = 2**63 - 1

_TENANT = "SELECT body FROM tenants WHERE name = ?"
_KEEP = "INSERT INTO tenants (name, body) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET body = excluded.body"
_TENANTS = "SELECT name, body FROM tenants WHERE :after IS NULL OR name > :after ORDER BY name LIMIT :limit"
_ISSUE = "INSERT INTO keys (id, digest, tenant, body, until) VALUES (?, ?, ?, ?, ?)"
_KEY = "SELECT body, until, used FROM keys WHERE "
_KEYS = """
SELECT number, body, until, used FROM keys WHERE number > :after AND (:tenant IS NULL OR tenant = :tenant)
ORDER BY number LIMIT :limit
"""
_ISSUED = "SELECT number, digest, body, until, used FROM keys WHERE number > ? ORDER BY number LIMIT ?"
_END = "UPDATE keys SET until = min(coalesce(until, :at), :at) WHERE id = :id"
_USED = "UPDATE keys SET used = max(used, ?) WHERE id = ?"
_BEGIN = "INSERT INTO acts (body) VALUES (?)"
_NAME = "INSERT INTO subjects (subject, user) VALUES (?, ?) ON CONFLICT DO NOTHING"
_CONCLUDE = "UPDATE acts SET outcome = ?, target = ? WHERE number = ? AND outcome = ''"
_ACTS = "SELECT number, body, outcome, target FROM acts WHERE number < ? ORDER BY number DESC LIMIT ?"
_WHO = "SELECT user FROM subjects WHERE subject = ?"


class SqliteRegistry:
    """See ports.Registry. A write returns once it is committed, so reads see it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep_tenant(self, tenant: Tenant) -> Tenant:
        name = blob(tenant.name)

        def job(connection: sqlite3.Connection) -> Tenant:
            found = connection.execute(_TENANT, (name,)).fetchone()
            kept = replace(tenant, created=_tenants.decode(found[0]).created) if found else tenant
            connection.execute(_KEEP, (name, _tenants.encode(kept)))
            return kept

        return await self._database.write(job)

    async def tenant(self, name: str) -> Tenant | None:
        row = await self._database.read(lambda c: c.execute(_TENANT, (blob(name),)).fetchone())
        return _tenants.decode(row[0]) if row else None

    async def tenants(self, *, cursor: str | None = None, limit: int = 50) -> Page[Tenant]:
        values = {"after": paging.unpack(cursor), "limit": limit + 1}
        rows = await self._database.read(lambda c: c.execute(_TENANTS, values).fetchall())
        found = tuple(tenant for _, body in rows[:limit] if (tenant := _tenants.decode_if_whole(body)))
        return Page(found, paging.pack(rows[limit - 1][0]) if len(rows) > limit else None)

    async def issue(self, digest: bytes, card: KeyCard) -> None:
        row = (blob(card.id), digest, blob(card.tenant), _cards.encode(card), card.until)
        await self._database.write(lambda c: c.execute(_ISSUE, row))

    async def find(self, digest: bytes) -> KeyCard | None:
        row = await self._database.read(lambda c: c.execute(_KEY + "digest = ?", (digest,)).fetchone())
        return _card(*row) if row else None

    async def key(self, id: str) -> KeyCard | None:
        row = await self._database.read(lambda c: c.execute(_KEY + "id = ?", (blob(id),)).fetchone())
        return _card(*row) if row else None

    async def keys(self, *, tenant: str | None = None, cursor: str | None = None, limit: int = 50) -> Page[KeyCard]:
        whose = None if tenant is None else blob(tenant)
        values = {"after": paging.number(cursor, 0), "tenant": whose, "limit": limit + 1}
        rows = await self._database.read(lambda c: c.execute(_KEYS, values).fetchall())
        return Page(tuple(_card(*row) for _, *row in rows[:limit]), _cursor(rows, limit))

    async def issued(self, *, cursor: str | None = None, limit: int = 50) -> Page[tuple[bytes, KeyCard]]:
        asked = (paging.number(cursor, 0), limit + 1)
        rows = await self._database.read(lambda c: c.execute(_ISSUED, asked).fetchall())
        found = tuple((digest, _card(*row)) for _, digest, *row in rows[:limit])
        return Page(found, _cursor(rows, limit))

    async def end(self, id: str, at: float) -> bool:
        values = {"id": blob(id), "at": at}
        return await self._database.write(lambda c: c.execute(_END, values).rowcount) > 0

    async def used(self, id: str, at: float) -> None:
        await self._database.write(lambda c: c.execute(_USED, (at, blob(id))))

    async def begin(self, act: Act, user: str) -> str:
        def job(connection: sqlite3.Connection) -> str:
            if user:
                connection.execute(_NAME, (act.subject, blob(user)))
            return str(connection.execute(_BEGIN, (_acts.encode(act),)).lastrowid)

        return await self._database.write(job)

    async def conclude(self, id: str, outcome: str, target: str = "") -> None:
        await self._database.write(lambda c: c.execute(_CONCLUDE, (outcome, blob(target), int(id))))

    async def acts(self, *, cursor: str | None = None, limit: int = 50) -> Page[Logged]:
        before = paging.number(cursor, _LARGEST)

        def job(connection: sqlite3.Connection) -> list[tuple[int, Logged | None]]:
            rows = connection.execute(_ACTS, (before, limit + 1)).fetchall()
            return [(number, _logged(connection, *rest)) for number, *rest in rows]

        rows = await self._database.read(job)
        return Page(tuple(logged for _, logged in rows[:limit] if logged), _cursor(rows, limit))

    async def unname(self, subject: str) -> None:
        await self._database.write(lambda c: c.execute("DELETE FROM subjects WHERE subject = ?", (subject,)))

    async def ping(self) -> None:
        await self._database.read(lambda c: c.execute("SELECT 1").fetchone())


def _card(body: bytes, until: float | None, used: float) -> KeyCard:
    return replace(_cards.decode(body), until=until, used=used)


def _logged(connection: sqlite3.Connection, body: bytes, outcome: str, target: bytes) -> Logged | None:
    act = _acts.decode_if_whole(body)
    if act is None:
        return None
    row = connection.execute(_WHO, (act.subject,)).fetchone()
    return Logged(act, text(row[0]) if row else None, outcome, text(target))


def _cursor(rows: list[Any], limit: int) -> str | None:
    return str(rows[limit - 1][0]) if len(rows) > limit else None
