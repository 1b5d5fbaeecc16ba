"""Memories moved to another embedder while everything runs: the second index made like the one that is read, beside a
gateway or by a command of its own; and a former one removed. Knows no request."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack

from gateway.errors import MemoryUnavailable, SettingsRefused
from gateway.memory.reconcile import Reconciler
from gateway.memory.records import FILLING, Standing
from gateway.settings import Settings
from gateway.tracing import UNTRACED
from gateway.wiring.indexes import listed
from gateway.wiring.tasks import Task
from gateway.wiring.tier import open_tier

log = logging.getLogger(__name__)

Say = Callable[[str], None]
_AGAIN = 30.0


async def reembed(settings: Settings, say: Say) -> None:
    """Make the index of MNEME_NEXT_EMBEDDER like that of MNEME_EMBEDDER, until a pass has verified it."""
    if not settings.next_embedder:
        raise SettingsRefused("There is nothing to move to: set MNEME_NEXT_EMBEDDER (docs/data.md).")
    async with open_tier(settings, UNTRACED) as tier:
        if tier.reconciler:
            say(f"{tier.embedder.identity} → {tier.reconciler.second.embedder.identity}, into {tier.reconciler.name}")
            await tier.reconciler.run(say)


async def drop_index(settings: Settings, name: str, say: Say) -> None:
    """Remove an index that a gateway has left behind; SettingsRefused for any other, with the names of those that there
    are."""
    async with AsyncExitStack() as stack:
        indexes = await listed(settings, stack)
        found = await indexes.found()
        if name not in [standing.name for standing in found if standing.behind not in ("", FILLING)]:
            shown = "; ".join(f"{s.name} of {s.embedder}{_how(s)}" for s in found)
            raise SettingsRefused(f"{name} is no index that was left behind: it stays. There are: {shown or 'none'}.")
        await indexes.drop(name)
        say(f"{name} is removed, with all that it held.")


def _how(standing: Standing) -> str:
    if not standing.behind:
        return ""
    return ", being filled" if standing.behind == FILLING else ", left behind"


def reconciling(reconciler: Reconciler) -> Task:
    """Runs beside requests until the second index is verified. A store that is away only delays it."""

    async def run() -> None:
        while True:
            try:
                return await reconciler.run(log.info)
            except MemoryUnavailable as failed:
                log.warning("the second index is not verified, and is tried again: %s", failed.message)
                await asyncio.sleep(_AGAIN)

    return run
