"""Buckets in this process, by the generic cell rate algorithm (GCRA, ITU-T I.371). Knows no key and no request.

A bucket is one number: when it will be full again. Taking moves it ahead by what the cost takes to come in; that it may
be a minute ahead, and no more, is the limit.
"""

import math
import time
from collections.abc import Callable, Sequence

from gateway.tenants.records import Level, Rate

WINDOW = 60.0
"""Seconds in which an empty bucket fills."""
_PURGE_ABOVE = 10_000


class LocalLimiter:
    """See ports.Limiter. `clock` is a monotonic one, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._full: dict[tuple[str, str], float] = {}

    async def take(self, tenant: str, rates: Sequence[Rate]) -> list[Level]:
        now = self._clock()
        before = [max(self._full.get((tenant, rate.name), now), now) for rate in rates]
        waits = [max(full + spell(rate) - WINDOW - now, 0.0) for full, rate in zip(before, rates, strict=True)]
        after = before if any(waits) else [full + spell(rate) for full, rate in zip(before, rates, strict=True)]
        self._full.update({(tenant, rate.name): full for full, rate in zip(after, rates, strict=True)})
        self._purge(now)
        return [level(rate, full - now, wait) for rate, full, wait in zip(rates, after, waits, strict=True)]

    async def correct(self, tenant: str, rates: Sequence[Rate]) -> None:
        now = self._clock()
        for rate in rates:
            self._full[tenant, rate.name] = max(self._full.get((tenant, rate.name), now), now) + spell(rate)

    def _purge(self, now: float) -> None:
        if len(self._full) > _PURGE_ABOVE:  # a full bucket is as one that nobody has taken from
            self._full = {name: full for name, full in self._full.items() if full > now}


def spell(rate: Rate) -> float:
    """Seconds in which the cost comes in."""
    return rate.cost * WINDOW / rate.limit


def level(rate: Rate, full: float, wait: float) -> Level:
    """What is told of a bucket that is full in so many seconds."""
    return Level(max(math.floor((WINDOW - full) * rate.limit / WINDOW), 0), wait, max(full, 0.0))
