"""All I/O seams of tenants on one screen. Says what an adapter must promise; never which adapter there is.

Every adapter raises MemoryUnavailable (and nothing foreign) when its engine fails. Names are opaque strings.
"""

from collections.abc import Sequence
from typing import Protocol

from gateway.memory.records import Page
from gateway.tenants.records import Act, KeyCard, Level, Logged, Rate, Tenant


class Registry(Protocol):
    """Tenants, keys and the audit log. What returned is durable, and seen by all processes that share it."""

    async def keep_tenant(self, tenant: Tenant) -> Tenant:
        """Insert, or replace all but `created`; as it is now."""

    async def tenant(self, name: str) -> Tenant | None:
        """One by its name."""

    async def tenants(self, *, cursor: str | None = None, limit: int = 50) -> Page[Tenant]:
        """By name, in the order of its bytes."""

    async def issue(self, digest: bytes, card: KeyCard) -> None:
        """Keep a new key under the digest of its secret."""

    async def find(self, digest: bytes) -> KeyCard | None:
        """The key whose secret has this digest, also one that has ended."""

    async def key(self, id: str) -> KeyCard | None:
        """One by its id."""

    async def keys(self, *, tenant: str | None = None, cursor: str | None = None, limit: int = 50) -> Page[KeyCard]:
        """In the order of their issue, ended ones included; of one tenant if named."""

    async def issued(self, *, cursor: str | None = None, limit: int = 50) -> Page[tuple[bytes, KeyCard]]:
        """All keys in the order of their issue, each with the digest of its secret."""

    async def end(self, id: str, at: float) -> bool:
        """From `at` on the key opens nothing; never later than it would have ended anyway. False for an unknown id."""

    async def used(self, id: str, at: float) -> None:
        """The key was used then. Nothing for an unknown id."""

    async def begin(self, act: Act, user: str) -> str:
        """Append an act that is about to be done, and keep who its subject is unless `user` is ""; its id."""

    async def conclude(self, id: str, outcome: str, target: str = "") -> None:
        """Say what came of an act, once; what is told later changes nothing."""

    async def acts(self, *, cursor: str | None = None, limit: int = 50) -> Page[Logged]:
        """Latest first."""

    async def unname(self, subject: str) -> None:
        """Forget who a subject is; acts stay. Gone from files when the next erasure scrubs them."""

    async def ping(self) -> None:
        """Raise MemoryUnavailable unless the registry answers."""


class Limiter(Protocol):
    """Buckets that fill evenly (GCRA). Each begins full. All of a call change together."""

    async def take(self, tenant: str, rates: Sequence[Rate]) -> list[Level]:
        """Take every cost, or, when one does not fit, none; the levels after that, in order."""

    async def correct(self, tenant: str, rates: Sequence[Rate]) -> None:
        """Take costs however little there is, also negative ones: those are given back."""
