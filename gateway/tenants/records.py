"""Nouns of tenants, frozen: who may ask, how often, and what an operator did. No logic but a card's own end."""

from dataclasses import dataclass
from typing import Literal

from gateway.admit import NO_QUOTA, Quota

Role = Literal["read", "write", "operator"]
"""What an admin may do; each may also do what stands before it."""
Kind = Literal["per-user", "single-user", "admin"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much per minute; 0 for as much as there is. Tokens are those of prompt and answer together."""

    requests_per_minute: int = 0
    tokens_per_minute: int = 0


UNLIMITED = Limits()


@dataclass(frozen=True, slots=True)
class Retention:
    """After how many days what was said goes, and after how many what tells of requests (placements and traces); 0 for
    never."""

    memories_days: int = 0
    traces_days: int = 0


FOR_EVER = Retention()


@dataclass(frozen=True, slots=True)
class Tenant:
    """Whose users and keys these are. `created` is seconds since 1970, 0 for one that only MNEME_KEYS names."""

    name: str
    created: float = 0.0
    limits: Limits = UNLIMITED
    quota: Quota = NO_QUOTA
    retention: Retention = FOR_EVER


@dataclass(frozen=True, slots=True)
class KeyCard:
    """An issued key without its secret. `tenant` is "" for an admin key, `role` "" for any other.

    Times are seconds since 1970. From `until` on it opens nothing: None for never, 0 when it was revoked. `used` is the
    beginning of the hour in which it was last known to be used, 0 for never.
    """

    id: str
    kind: Kind
    tenant: str = ""
    role: Role | Literal[""] = ""
    label: str = ""
    limits: Limits = UNLIMITED
    created: float = 0.0
    until: float | None = None
    used: float = 0.0

    def opens(self, now: float) -> bool:
        """Whether it still does."""
        return self.until is None or now < self.until


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody did under /admin: `who` is an admin key's id, MNEME_ADMIN_KEY or loopback; `what` a route.

    `subject` is an HMAC of the user whom it was about, "" for none; who that is, is kept apart, so that it can be
    forgotten while this stays. `target` is the id of the memory or key, "" for none. `at` is seconds since 1970.
    """

    who: str
    role: Role
    what: str
    at: float
    tenant: str = ""
    subject: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True)
class Logged:
    """An act as the log tells it. `user` is None for none, and for a forgotten one. `outcome` is the status that was
    answered, "" while nobody knows, `target` what the act made if it made something."""

    act: Act
    user: str | None
    outcome: str
    target: str


@dataclass(frozen=True, slots=True)
class Rate:
    """One bucket and what is to be taken of it: `limit` units come in per minute, and as many it holds."""

    name: str
    limit: int
    cost: int


@dataclass(frozen=True, slots=True)
class Level:
    """A bucket afterwards: whole units `left`, seconds to `wait` until the cost fits (0: it did), seconds until it is
    `full`."""

    left: int
    wait: float
    full: float
