"""Who holds which key: those of the settings at once, issued ones from the registry, remembered for a moment.

A key that was revoked anywhere is refused everywhere within MOMENT, because nobody asks less often. When the registry
does not answer, no issued key opens anything once its moment is over; the settings' keys need no registry.
"""

import asyncio
import hmac
import re
import time
from base64 import urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from secrets import token_bytes
from typing import Generic, TypeVar

from gateway.admit import Key, Keyring, bearer, digest
from gateway.errors import KeysUnavailable, MemoryUnavailable, NotAuthenticated
from gateway.tenants.meter import Purse
from gateway.tenants.ports import Registry
from gateway.tenants.records import UNLIMITED, KeyCard, Role, Tenant

T = TypeVar("T")
K = TypeVar("K")

MOMENT = 2.0
_PATIENCE = 0.25
_REMEMBERED = 10_000
_HOUR = 3600.0
_ISSUED = re.compile(rb"mn-[A-Za-z0-9_-]{43}")
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts under /admin: a key's id, MNEME_ADMIN_KEY or loopback; and what they may do."""

    who: str
    role: Role


def new_secret() -> str:
    """A key: "mn-" and 43 base64url characters, 256 random bits."""
    return "mn-" + urlsafe_b64encode(token_bytes(_SECRET_BYTES)).rstrip(b"=").decode()


class Ring:
    """`static` are the keys of MNEME_KEYS, `admin_key` is MNEME_ADMIN_KEY ("" for none). `clock` gives seconds since
    the epoch, `ticks` a monotonic one."""

    def __init__(
        self,
        static: Keyring,
        admin_key: str,
        registry: Registry,
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self.static = static
        self._admin_key = admin_key.encode()
        self._registry = registry
        self._clock = clock
        self._cards = _Memo(self._look, ticks)
        self._tenants = _Memo(self._tenant, ticks)

    async def find(self, authorization: bytes | None) -> tuple[Key, Purse]:
        """What a key under /v1 stands for, and whose limits apply. NotAuthenticated if nobody issued it or it has
        ended, KeysUnavailable while that cannot be known."""
        secret = bearer(authorization)
        known = digest(secret)
        if key := self.static.find(known):
            tenant = await self._known_tenant(key.tenant)
            return replace(key, quota=tenant.quota), Purse(tenant.name, tenant.limits, "", UNLIMITED)
        card = await self._card(secret, known)
        if card is None or card.kind == "admin":
            raise NotAuthenticated("This API key was not issued by this gateway, or has ended.")
        tenant = await self._asked(self._tenants, card.tenant) or Tenant(card.tenant)
        key = Key(card.tenant, card.tenant if card.kind == "single-user" else "", tenant.quota)
        return key, Purse(card.tenant, tenant.limits, card.id, card.limits)

    async def admin(self, authorization: bytes | None) -> Actor | None:
        """Who an Authorization header under /admin names; None where it is no issued key and MNEME_ADMIN_KEY is not
        set, so that something else has to decide. NotAuthenticated and KeysUnavailable as above."""
        secret = (authorization or b"").partition(b" ")[2].strip()
        if self._admin_key and hmac.compare_digest(secret, self._admin_key):
            bearer(authorization)
            return Actor("MNEME_ADMIN_KEY", "operator")
        if not _ISSUED.fullmatch(secret):
            if self._admin_key:
                raise NotAuthenticated("/admin needs 'Authorization: Bearer <MNEME_ADMIN_KEY, or an admin key>'.")
            return None
        card = await self._card(bearer(authorization), digest(secret))
        if card is None or card.kind != "admin" or not card.role:
            raise NotAuthenticated("This is no admin key of this gateway, or it has ended.")
        return Actor(card.id, card.role)

    async def _card(self, secret: bytes, known: bytes) -> KeyCard | None:
        """The issued key, if it still opens anything. What was never issued is not asked for."""
        if not _ISSUED.fullmatch(secret):
            return None
        card = await self._asked(self._cards, known)
        return card if card and card.opens(self._clock()) else None

    async def _look(self, known: bytes) -> KeyCard | None:
        card, now = await self._registry.find(known), self._clock()
        if card and now - card.used >= _HOUR:
            with suppress(MemoryUnavailable):  # a full disk closes no door
                await self._registry.used(card.id, now - now % _HOUR)
        return card

    async def _known_tenant(self, name: str) -> Tenant:
        """While the registry does not answer, as it was last known: who holds a static key is let in all the same, and
        soon."""
        try:
            found = await self._tenants.get(name)
        except MemoryUnavailable:
            found = self._tenants.prolong(name)
        return found or Tenant(name)

    async def _tenant(self, name: str) -> Tenant | None:
        try:
            async with asyncio.timeout(_PATIENCE):
                return await self._registry.tenant(name)
        except TimeoutError:
            raise MemoryUnavailable("The registry does not answer in time.") from None

    async def _asked(self, memo: "_Memo[K, T]", name: K) -> T | None:
        try:
            return await memo.get(name)
        except MemoryUnavailable:
            raise KeysUnavailable("Keys cannot be checked now; try again.") from None


class _Memo(Generic[K, T]):
    """What `load` gave, for MOMENT; absence too. The latest _REMEMBERED."""

    def __init__(self, load: Callable[[K], Awaitable[T | None]], ticks: Callable[[], float]) -> None:
        self._load = load
        self._ticks = ticks
        self._held: OrderedDict[K, tuple[float, T | None]] = OrderedDict()

    async def get(self, name: K) -> T | None:
        asked = self._ticks()
        held = self._held.get(name)
        if held is not None and asked < held[0]:
            return held[1]
        return self._keep(name, asked, await self._load(name))

    def prolong(self, name: K) -> T | None:
        """What was last known, for a moment more; None if nothing was."""
        held = self._held.get(name)
        return self._keep(name, self._ticks(), held[1] if held else None)

    def _keep(self, name: K, asked: float, found: T | None) -> T | None:
        self._held[name] = asked + MOMENT, found
        self._held.move_to_end(name)
        while len(self._held) > _REMEMBERED:
            self._held.popitem(last=False)
        return found
