"""A writer in a process of its own: it takes what gateways retained, and has it indexed. Knows no gateway."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.errors import SettingsRefused
from gateway.memory.expiry import Expiry
from gateway.memory.reflect import Writer
from gateway.services import Vitals
from gateway.settings import Settings
from gateway.telemetry import Telemetry
from gateway.tenants.sweep import Sweeper
from gateway.wiring.tasks import Task, working
from gateway.wiring.thinking import open_thinker
from gateway.wiring.tier import Tier, open_tier
from gateway.wiring.watch import open_telemetry


@asynccontextmanager
async def open_writer(settings: Settings) -> AsyncIterator[Vitals]:
    """Writes until the end of the block, then finishes what is pending. SettingsRefused unless it can share."""
    check_shared(settings)
    async with (
        open_telemetry(settings) as telemetry,
        open_tier(settings, telemetry.tracer) as tier,
        open_thinker(settings, tier, telemetry) as thinker,
        working(
            written(tier, telemetry),
            (telemetry.watch_loop, sweeping(tier, telemetry), thinker.run),
            settings.drain_seconds,
        ),
    ):
        yield Vitals(tier.pings, frozenset(tier.pings), tier.journal, tier.reviser.agenda, telemetry)


def written(tier: Tier, telemetry: Telemetry) -> Writer:
    """The writer over a tier."""
    return Writer(
        tier.curator,
        tier.journal,
        lambda result, n: telemetry.indexed.labels(result).inc(n),
        reflected=telemetry.reflected,
        tracer=telemetry.tracer,
    )


def sweeping(tier: Tier, telemetry: Telemetry) -> Task:
    """What runs beside a writer: what is older than its tenant keeps it, expires."""
    expired = telemetry.expired
    return Sweeper(tier.registry, Expiry(tier.curator), lambda what, n: expired.labels(what).inc(n), time.time).run


def check_shared(settings: Settings) -> None:
    """SettingsRefused where gateway and writer would each remember for themselves."""
    if not settings.shared:
        raise SettingsRefused(
            "Gateways and writers in processes of their own share what they remember: set MNEME_REDIS_URL and "
            "MNEME_QDRANT_URL, or run `mneme serve`."
        )
