"""Looks now and then for what is older than its tenant keeps it, tenant by tenant and user by user, and has it expire.
Never ends its process: where a store is away, a sweep ends and the next one begins anew. Many may sweep at once."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from gateway.errors import MemoryUnavailable
from gateway.memory.expiry import NEVER, Expiry
from gateway.memory.records import Scope
from gateway.tenants.ports import Registry
from gateway.tenants.records import FOR_EVER, Tenant

log = logging.getLogger(__name__)

_DAY = 86_400.0
_FIRST, _EVERY = 60.0, 3600.0
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Sweeper:
    """`count` is told what went: memories, turns, records. `clock` gives seconds since the epoch; `first` is in so many
    seconds the first sweep, and `every` so many after each the next."""

    registry: Registry
    expiry: Expiry
    count: Callable[[str, int], None]
    clock: Callable[[], float]
    first: float = _FIRST
    every: float = _EVERY

    async def run(self) -> None:
        """Sweep until cancelled."""
        await asyncio.sleep(self.first)
        while True:
            try:
                await self.sweep()
            except MemoryUnavailable as away:
                log.warning("what is too old stays for now: %s", away.message)
            except Exception:  # whatever one user's data raises, requests and indexing go on beside it
                log.exception("a look for what is too old broke off")
            await asyncio.sleep(self.every)

    async def sweep(self) -> None:
        """Once through everybody. MemoryUnavailable when a store is away."""
        cursor: str | None = None
        while True:
            page = await self.registry.tenants(cursor=cursor, limit=_PAGE)
            for tenant in page.items:
                if tenant.retention != FOR_EVER:
                    await self._tenant(tenant)
            cursor = page.cursor
            if cursor is None:
                return

    async def _tenant(self, tenant: Tenant) -> None:
        now, days = self.clock(), tenant.retention
        said, told = (now - n * _DAY if n else NEVER for n in (days.memories_days, days.traces_days))
        left = 0
        for user in await self._users(tenant.name):
            try:
                gone = await self.expiry.expire(Scope(tenant.name, user), said, told)
            except MemoryUnavailable as failed:
                await self._still_there()
                log.warning("a user's memories were not looked through: %s", failed.message)
                left += 1
                continue
            for what, n in (("memories", gone.memories), ("turns", gone.turns), ("records", gone.records)):
                self.count(what, n)
            await asyncio.sleep(0)
        if left:
            log.warning("of %d users of a tenant what is too old stays for now", left)

    async def _users(self, tenant: str) -> list[str]:
        """Who has anything that may be too old."""
        curator = self.expiry.curator
        found = {*await curator.memories.users(tenant)}
        cursor: str | None = None
        while True:
            scopes = await curator.journal.scopes(tenant=tenant, cursor=cursor, limit=_PAGE)
            found |= {scope.user for scope in scopes.items}
            cursor = scopes.cursor
            if cursor is None:
                break
        while True:
            names = await curator.sessions.users(tenant, cursor=cursor, limit=_PAGE)
            found |= {*names.items}
            cursor = names.cursor
            if cursor is None:
                return sorted(found)

    async def _still_there(self) -> None:
        """It was this user's: somebody does not let go of them. Unless it was a store's."""
        curator = self.expiry.curator
        await curator.ping()
        await curator.journal.ping()
        await curator.sessions.ping()
