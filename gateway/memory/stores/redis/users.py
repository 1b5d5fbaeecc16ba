"""Who of a tenant has placements or traces. Knows neither.

They stand in a set that placing and erasing keep. A Redis from before there was one is looked through once, when
somebody first asks (SCAN, page by page); see evidence.py for what that leaves out while it is being upgraded.
"""

import re
from collections import defaultdict

from gateway.memory.records import Page
from gateway.memory.stores import cursors
from gateway.memory.stores.codec import text
from gateway.memory.stores.redis import keys
from gateway.memory.stores.redis.connection import Connection
from gateway.memory.stores.redis.session_scripts import LIST

_OF_A_USER = re.compile(rb"(.*:\{[0-9a-f]{32}\}:)(?:placed|traces):(.*)", re.DOTALL)


class Users:
    """Over the tenants whose keys begin with the connection's prefix."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._list = connection.script(LIST)
        self._listed = keys.journal(connection.prefix) + b"placed-listed"

    async def of(self, tenant: str, cursor: str | None, limit: int) -> Page[str]:
        """See ports.SessionStore."""
        first = b"-" if cursor is None else b"(" + cursors.word(cursor)
        await self._find()
        key = keys.tenant(self._connection.prefix, tenant) + b"users"
        found = await self._connection.call("ZRANGEBYLEX", key, first, "+", "LIMIT", 0, limit + 1)
        return Page(tuple(map(text, found[:limit])), cursors.of_word(found[limit - 1]) if len(found) > limit else None)

    async def _find(self) -> None:
        if await self._connection.call("EXISTS", self._listed):
            return
        async for found in self._connection.scan(keys.pattern(b"%b:{" % self._connection.prefix.encode())):
            users: dict[bytes, set[bytes]] = defaultdict(set)
            for key in found:
                if named := _OF_A_USER.fullmatch(key):
                    users[named[1]].add(named[2])
            for base, names in users.items():
                await self._list(base, *names)
        await self._connection.call("SET", self._listed, 1)
