"""What a request costs its key and its tenant: taken when it is admitted, corrected when its answer is known. A limiter
that does not answer lets everybody pass, and that is told. Knows no route and no store.
"""

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gateway.errors import MemoryUnavailable, NotSpliceable, RateLimited
from gateway.memory.budget import message_tokens, raw_tokens
from gateway.tenants.ports import Limiter
from gateway.tenants.records import Level, Limits, Rate
from gateway.upstream.client import Headers
from gateway.wire import chat

_PATIENCE = 0.25
_REST = 1.0  # after a silence nobody is held up for so long
_TAIL = 1 << 14
_TOTAL = re.compile(rb'"usage"\s*:\s*\{(?:[^{}]|\{[^{}]*\})*?"total_tokens"\s*:\s*(\d{1,12})\b')
"""In JSON a quote within a string is escaped, so nothing that a model says looks like this."""
_EVENT = b"data:"


@dataclass(frozen=True, slots=True)
class Purse:
    """Whose limits apply: the tenant's and the key's. `key` is its id, "" for one of MNEME_KEYS, which has none."""

    tenant: str
    of_tenant: Limits
    key: str
    of_key: Limits

    @property
    def limited(self) -> bool:
        """Whether anything has to be counted."""
        return any((limits.requests_per_minute or limits.tokens_per_minute) for limits in (self.of_tenant, self.of_key))

    def rates(self, requests: int, tokens: int) -> list[Rate]:
        """What such a request takes of every bucket that there is."""
        named = ((self.of_tenant, ""), (self.of_key, f":{self.key}"))
        asked = [Rate(f"requests{name}", limits.requests_per_minute, requests) for limits, name in named]
        asked += [Rate(f"tokens{name}", limits.tokens_per_minute, tokens) for limits, name in named]
        return [rate for rate in asked if rate.limit and (rate.cost or requests)]


@dataclass(slots=True)
class Toll:
    """What one request has paid. `speaks`: it is answered in words; `told` are the headers of its answer; `heard` is
    shown every piece of it."""

    purse: Purse
    speaks: bool
    paid: int
    told: Headers
    _tail: bytearray = field(default_factory=bytearray)
    _events: int = 0
    _size: int = 0

    def heard(self, chunk: bytes) -> None:
        """A piece of the answer is on its way to the client."""
        self._events += chunk.count(_EVENT)
        self._size += len(chunk)
        self._tail += chunk
        del self._tail[:-_TAIL]

    @property
    def due(self) -> int:
        """Tokens that are still to be paid, or to be given back if negative. Where the answer tells no usage, its
        events count as tokens, or else a token for every four bytes."""
        if found := _TOTAL.findall(self._tail):
            return int(found[-1]) - self.paid
        if not self.speaks:
            return 0
        return self._events if self._events > 1 else raw_tokens(self._size)


class Meter:
    """`count` is told what came of it: refused, unchecked. `clock` is a monotonic one, in seconds."""

    def __init__(
        self, limiter: Limiter, count: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limiter = limiter
        self._count = count
        self._clock = clock
        self._rests_until = 0.0

    async def admit(self, purse: Purse, body: object, *, speaks: bool) -> Toll | None:
        """Take what the request costs; None where there is no limit. `speaks`: its body is JSON, and costs tokens.
        RateLimited if there is not as much."""
        if not purse.limited:
            return None
        tokens = estimate(body) if speaks and isinstance(body, bytes) else 0
        rates = purse.rates(1, tokens)
        try:
            levels = await self._take(purse.tenant, rates)
        except (MemoryUnavailable, TimeoutError):
            self._count("unchecked")
            return Toll(purse, speaks, tokens, [(b"x-mneme-limits", b"unchecked")])
        told = _headers(rates, levels)
        short = [pair for pair in zip(rates, levels, strict=True) if pair[1].wait]
        if short:
            self._count("refused")
            raise _refusal(*max(short, key=lambda pair: pair[1].wait), told)
        return Toll(purse, speaks, tokens, told)

    async def settle(self, toll: Toll | None) -> None:
        """Correct the estimate by what the answer told."""
        rates = toll.purse.rates(0, toll.due) if toll else []
        if not toll or not rates or self._clock() < self._rests_until:
            return
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._limiter.correct(toll.purse.tenant, rates)
        except (MemoryUnavailable, TimeoutError):
            self._count("unchecked")

    async def _take(self, tenant: str, rates: Sequence[Rate]) -> list[Level]:
        if self._clock() < self._rests_until:
            raise TimeoutError
        try:
            async with asyncio.timeout(_PATIENCE):
                return await self._limiter.take(tenant, rates)
        except TimeoutError:
            self._rests_until = self._clock() + _REST
            raise


def estimate(body: bytes) -> int:
    """Tokens of a prompt, as memory estimates them; of a body without messages, a token for every four bytes."""
    try:
        request = chat.read(body)
    except NotSpliceable:
        return raw_tokens(len(body))
    messages = request.messages
    outside = len(body) - (messages[-1].end - messages[0].start) if messages else len(body)
    return sum(message_tokens(message.normal, message.others) for message in messages) + raw_tokens(outside)


def _headers(rates: Sequence[Rate], levels: Sequence[Level]) -> Headers:
    """As OpenAI names them; where tenant and key both have a limit, of the one with less left."""
    told: Headers = []
    for kind in ("requests", "tokens"):
        own = [pair for pair in zip(rates, levels, strict=True) if pair[0].name.partition(":")[0] == kind]
        if own:
            rate, level = min(own, key=lambda pair: (pair[1].left, -pair[1].full))
            name = kind.encode()
            told.append((b"x-ratelimit-limit-" + name, b"%d" % rate.limit))
            told.append((b"x-ratelimit-remaining-" + name, b"%d" % level.left))
            told.append((b"x-ratelimit-reset-" + name, b"%.3fs" % level.full))
    return told


def _refusal(rate: Rate, level: Level, told: Headers) -> RateLimited:
    kind, _, key = rate.name.partition(":")
    whose = "this key" if key else "this tenant"
    if rate.cost > rate.limit:
        message = f"The request alone needs {rate.cost} {kind}; {whose} may use {rate.limit} per minute."
    else:
        message = f"Rate limit reached for {whose}: {rate.limit} {kind} per minute. Try again in {level.wait:.3f}s."
    return RateLimited(message, kind, level.wait, told)
