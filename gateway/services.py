"""What a request may use, put together once by wiring. Holds parts; does nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from gateway.backup.snapshot import Snapshots
from gateway.memory.curate import Curator
from gateway.memory.policies.base import Policy
from gateway.memory.ports import Embedder, Journal, MemoryStore, SessionStore
from gateway.memory.reviser import Reviser
from gateway.memory.thinking import Agenda
from gateway.pulse import Pulse
from gateway.seal import Seal
from gateway.telemetry import Telemetry
from gateway.tenants.meter import Meter
from gateway.tenants.ports import Registry
from gateway.tenants.ring import Ring
from gateway.turn import Story
from gateway.upstream.fleet import Fleet
from gateway.visits import Visits

Ping = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Gate:
    """How much the front door takes: header bytes, body bytes held for memory, seconds between two body pieces.

    `local_only` refuses requests that a web page made under another name (DNS rebinding): set while no key guards us.
    """

    header_limit: int
    body_limit: int
    body_timeout: float
    local_only: bool


@dataclass(frozen=True, slots=True)
class Vitals:
    """What /health and /metrics look at: a ping by part, the parts that nothing goes without, what waits in journal and
    agenda."""

    pings: Mapping[str, Ping]
    needed: frozenset[str]
    journal: Journal
    agenda: Agenda
    telemetry: Telemetry


@dataclass(frozen=True, slots=True)
class Services:
    """Every part that a route may reach, and the pings behind /health/ready."""

    story: Story
    fleet: Fleet
    ring: Ring
    meter: Meter
    registry: Registry
    gate: Gate
    curator: Curator
    reviser: Reviser
    memories: MemoryStore
    sessions: SessionStore
    journal: Journal
    embedder: Embedder
    policies: Mapping[str, Policy]
    seal: Seal
    telemetry: Telemetry
    visits: Visits
    pulse: Pulse
    pings: Mapping[str, Ping]
    clock: Callable[[], float]
    closing: asyncio.Event
    """Set once the gateway stops: what would stream for as long as somebody looks, ends."""
    snapshot: Snapshots | None
    """None where what is remembered lies outside the data directory."""

    @property
    def vitals(self) -> Vitals:
        """An answer needs a worker; it does without memory."""
        return Vitals(self.pings, frozenset(("upstream",)), self.journal, self.reviser.agenda, self.telemetry)
