"""Everything that requests use, and the tasks beside them. One AsyncExitStack opens all of it in order and closes it in
reverse."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from gateway.admit import Keyring, parse_keys
from gateway.memory.recall import Recaller
from gateway.memory.retain import Retainer
from gateway.pulse import Pulse
from gateway.remember import Rememberer
from gateway.scribe import Scribe
from gateway.services import Gate, Services
from gateway.settings import LOCAL_KEY, Settings
from gateway.tenants.meter import Meter
from gateway.tenants.quotas import Quotas
from gateway.tenants.ring import Ring
from gateway.turn import Story
from gateway.upstream.aliases import Alias, located, parse_aliases
from gateway.upstream.client import Patience
from gateway.upstream.embedded import embedded_reader
from gateway.upstream.errands import Errands
from gateway.upstream.fleet import Fleet
from gateway.upstream.gauges import Gauges
from gateway.upstream.muster import open_fleet
from gateway.upstream.sinks import Sinks
from gateway.visits import Visits
from gateway.warm import Warmer, blind
from gateway.wiring.reembed import reconciling
from gateway.wiring.tasks import Task, working
from gateway.wiring.thinking import open_thinker
from gateway.wiring.tier import open_tier, sealed
from gateway.wiring.watch import open_telemetry
from gateway.wiring.writer import sweeping, written

# Of the recall deadline, for the vectors of turns that the writer has not got to.
_PENDING_SHARE = 0.4
_HEADER_LIMIT = 64 << 10
# Hands, and places in line: counting heads is quick and wanted at once, warming keeps a worker busy.
_COUNTING, _WARMING = (4, 64), (1, 8)
_AT_LEISURE = 10.0


@asynccontextmanager
async def open_services(settings: Settings, *, writes: bool = True) -> AsyncIterator[Services]:
    """What a gateway is. `writes`: what it retains is indexed here too, and on the way out the writer finishes what is
    pending; else some other process has to."""
    aliases = parse_aliases(settings.workers.get_secret_value())
    async with AsyncExitStack() as stack:
        telemetry = await stack.enter_async_context(open_telemetry(settings))
        tier = await stack.enter_async_context(open_tier(settings, telemetry.tracer))
        seal = sealed(settings)
        fleet = await _fleet(settings, aliases, stack)
        telemetry.registry.register(Gauges(fleet))
        counting, warming = Errands(*_COUNTING), Errands(*_WARMING)
        writer = written(tier, telemetry) if writes else None
        rememberer = Rememberer(
            Recaller(tier.memories, tier.journal, tier.embedder, _PENDING_SHARE * settings.recall_deadline),
            tier.sessions,
            settings.recall_deadline,
            time.time,
            settings.redact,
        )
        sinks = Sinks(counting)
        warmer = Warmer(
            rememberer,
            Scribe(seal.salt, seal.session, sinks, _AT_LEISURE),
            warming,
            lambda result: telemetry.warmed.labels(result).inc(),
        )
        story = Story(
            rememberer=rememberer,
            scribe=Scribe(seal.salt, seal.session, sinks, settings.recall_deadline),
            retainer=Retainer(tier.journal, settings.redact, settings.retain_deadline, tier.sessions),
            quotas=Quotas(tier.memories, settings.recall_deadline),
            telemetry=telemetry,
            policies=tier.policies,
            default_policy=settings.policy,
            memory_tokens=settings.memory_tokens,
            clock=time.time,
            nudge=writer.nudge if writer else _nobody,
            foresee=warmer.foresee if settings.warm else blind,
        )
        keys, local = settings.keys.get_secret_value(), settings.local_only
        static = Keyring(parse_keys(keys, LOCAL_KEY if local else ""))
        moving = (reconciling(tier.reconciler),) if writes and tier.reconciler else ()
        sweeps = (sweeping(tier, telemetry),) if writes else ()
        thinks = ((await stack.enter_async_context(open_thinker(settings, tier, telemetry))).run,) if writes else ()
        pulse = Pulse(telemetry, tier.journal, tier.reviser.agenda, time.time, f"{socket.gethostname()}:{os.getpid()}")
        watches: tuple[Task, ...] = (fleet.watch, counting.run, warming.run, telemetry.watch_loop, pulse.run)
        beside = (*watches, *moving, *sweeps, *thinks)
        await stack.enter_async_context(working(writer, beside, settings.drain_seconds))
        yield Services(
            story=story,
            fleet=fleet,
            ring=Ring(static, settings.admin_key.get_secret_value(), tier.registry),
            meter=Meter(tier.limiter, lambda outcome: telemetry.limits.labels(outcome).inc()),
            registry=tier.registry,
            gate=Gate(_HEADER_LIMIT, settings.body_limit, settings.body_timeout, local_only=local),
            curator=tier.curator,
            reviser=tier.reviser,
            memories=tier.memories,
            sessions=tier.sessions,
            journal=tier.journal,
            embedder=tier.embedder,
            policies=tier.policies,
            seal=seal,
            telemetry=telemetry,
            visits=Visits(telemetry, lines=settings.access_log),
            pulse=pulse,
            pings={
                "upstream": fleet.default.ping,
                **({"workers": fleet.ping} if fleet.pools[1:] else {}),
                **tier.pings,
            },
            clock=time.time,
            closing=asyncio.Event(),
            snapshot=tier.snapshot,
        )


def _nobody() -> None:
    """The writer is another process, and looks for itself."""


async def _fleet(settings: Settings, aliases: Mapping[str, Alias], stack: AsyncExitStack) -> Fleet:
    """The default worker's replicas, and those of every other list of URLs that an alias names."""
    default = settings.upstream or await stack.enter_async_context(embedded_reader())
    patience = Patience(settings.connect_timeout, settings.first_byte_timeout, settings.idle_timeout)
    opening = open_fleet(
        located(default),
        settings.upstream_key.get_secret_value(),
        aliases,
        patience,
        window=settings.context_tokens,
        header=settings.affinity_header,
    )
    return await stack.enter_async_context(opening)
