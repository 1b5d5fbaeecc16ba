"""What thinks about turns, beside whatever indexes them: a loop over the tier, and the models that it asks if settings
name them. Knows no request, and no policy's name."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from pydantic import SecretStr

from gateway.memory.askers.http import HttpAsker
from gateway.memory.askers.none import Nobody
from gateway.memory.think import Thinker
from gateway.memory.thinking import Asker
from gateway.settings import Settings
from gateway.telemetry import Telemetry
from gateway.upstream.aliases import located
from gateway.upstream.named import SCHEME
from gateway.wiring.tier import Tier


@asynccontextmanager
async def open_thinker(settings: Settings, tier: Tier, telemetry: Telemetry) -> AsyncIterator[Thinker]:
    """A thinker whose `run` is a task beside the writer."""
    reflects = settings.reflect_model, settings.reflect_url, settings.reflect_key
    sees = settings.vision_model, settings.vision_url, settings.vision_key
    async with _asker(settings, telemetry, *reflects) as asker, _asker(settings, telemetry, *sees) as seer:
        yield Thinker(
            tier.reviser.agenda,
            tier.journal,
            tier.reviser,
            asker,
            tier.policies,
            tier.curator.planner.pace,
            told=lambda reflection: telemetry.reflections.labels(reflection.policy, reflection.state).inc(),
            heard=lambda spent: telemetry.asked(spent.tokens),
            took=telemetry.think.observe,
            tracer=telemetry.tracer,
            seer=seer if settings.vision_model else None,
        )


def open_judge(settings: Settings, url: str, model: str) -> AbstractAsyncContextManager[Asker]:
    """A model at `url` that judges answers for an evaluation; the upstream's key opens it."""
    return HttpAsker.open(url, model, settings.upstream_key.get_secret_value())


@asynccontextmanager
async def _asker(
    settings: Settings, telemetry: Telemetry, model: str, url: str, key: SecretStr
) -> AsyncIterator[Asker]:
    if not model:
        yield Nobody()
        return
    if not url:
        url, key = located(settings.upstream)[0].removeprefix(SCHEME), settings.upstream_key
    opening = HttpAsker.open(url, model, key.get_secret_value(), telemetry.tracer, settings.reflect_priority)
    async with opening as asker:
        yield asker
