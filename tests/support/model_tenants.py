"""Registry and Limiter as plain dictionaries: what the adapters are compared with. Know no file."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import floor

from gateway.memory.records import Page
from gateway.tenants.records import Act, KeyCard, Level, Logged, Rate, Tenant
from tests.support.model import Clock, Life, page


@dataclass
class ModelRegistry(Life):
    """ports.Registry."""

    made: dict[str, Tenant] = field(default_factory=dict)
    cards: dict[str, KeyCard] = field(default_factory=dict)
    digests: dict[bytes, str] = field(default_factory=dict)
    log: list[Logged] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)

    async def keep_tenant(self, tenant: Tenant) -> Tenant:
        """See the port."""
        await self.ping()
        self.made[tenant.name] = replace(tenant, created=self.made.get(tenant.name, tenant).created)
        return self.made[tenant.name]

    async def tenant(self, name: str) -> Tenant | None:
        """See the port."""
        await self.ping()
        return self.made.get(name)

    async def tenants(self, *, cursor: str | None = None, limit: int = 50) -> Page[Tenant]:
        """See the port."""
        await self.ping()
        names = sorted(self.made, key=lambda name: name.encode("utf-8", "surrogatepass"))
        return page([self.made[name] for name in names], cursor, limit)

    async def issue(self, digest: bytes, card: KeyCard) -> None:
        """See the port."""
        await self.ping()
        self.digests[digest], self.cards[card.id] = card.id, card

    async def find(self, digest: bytes) -> KeyCard | None:
        """See the port."""
        await self.ping()
        return self.cards.get(self.digests.get(digest, ""))

    async def key(self, id: str) -> KeyCard | None:
        """See the port."""
        await self.ping()
        return self.cards.get(id)

    async def keys(self, *, tenant: str | None = None, cursor: str | None = None, limit: int = 50) -> Page[KeyCard]:
        """See the port."""
        await self.ping()
        return page([card for card in self.cards.values() if tenant in (None, card.tenant)], cursor, limit)

    async def issued(self, *, cursor: str | None = None, limit: int = 50) -> Page[tuple[bytes, KeyCard]]:
        """See the port."""
        await self.ping()
        return page([(digest, self.cards[id]) for digest, id in self.digests.items()], cursor, limit)

    async def end(self, id: str, at: float) -> bool:
        """See the port."""
        await self.ping()
        if card := self.cards.get(id):
            self.cards[id] = replace(card, until=at if card.until is None else min(card.until, at))
        return card is not None

    async def used(self, id: str, at: float) -> None:
        """See the port."""
        await self.ping()
        if card := self.cards.get(id):
            self.cards[id] = replace(card, used=max(card.used, at))

    async def begin(self, act: Act, user: str) -> str:
        """See the port."""
        await self.ping()
        if user:
            self.names.setdefault(act.subject, user)
        self.log.append(Logged(act, None, "", ""))
        return str(len(self.log) - 1)

    async def conclude(self, id: str, outcome: str, target: str = "") -> None:
        """See the port."""
        await self.ping()
        if int(id) < len(self.log) and not self.log[int(id)].outcome:
            self.log[int(id)] = replace(self.log[int(id)], outcome=outcome, target=target)

    async def acts(self, *, cursor: str | None = None, limit: int = 50) -> Page[Logged]:
        """See the port."""
        await self.ping()
        told = [replace(logged, user=self.names.get(logged.act.subject)) for logged in self.log]
        return page(told[::-1], cursor, limit)

    async def unname(self, subject: str) -> None:
        """See the port."""
        await self.ping()
        self.names.pop(subject, None)


@dataclass
class ModelLimiter:
    """ports.Limiter, told as what is in each bucket, in exact fractions."""

    clock: Clock
    held: dict[tuple[str, str], tuple[Fraction, Fraction]] = field(default_factory=dict)

    async def take(self, tenant: str, rates: Sequence[Rate]) -> list[Level]:
        """See the port."""
        left = [self._left(tenant, rate) for rate in rates]
        short = [max(rate.cost - units, Fraction(0)) for rate, units in zip(rates, left, strict=True)]
        if not any(short):
            await self.correct(tenant, rates)
            left = [self._left(tenant, rate) for rate in rates]
        return [
            Level(max(floor(units), 0), float(lack * 60 / rate.limit), float((rate.limit - units) * 60 / rate.limit))
            for rate, units, lack in zip(rates, left, short, strict=True)
        ]

    async def correct(self, tenant: str, rates: Sequence[Rate]) -> None:
        """See the port."""
        for rate in rates:
            left = min(self._left(tenant, rate) - rate.cost, Fraction(rate.limit))
            self.held[tenant, rate.name] = Fraction(self.clock()), left

    def _left(self, tenant: str, rate: Rate) -> Fraction:
        now = Fraction(self.clock())
        at, units = self.held.get((tenant, rate.name), (now, Fraction(rate.limit)))
        return min(units + (now - at) * rate.limit / 60, Fraction(rate.limit))
