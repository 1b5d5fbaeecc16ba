"""All workers, and which of them answers for a model's name. Knows no conversation and no memory.

Rule: a name is answered as the list of models shows it, or refused. It never gets another KV policy than it stands for.
"""

import asyncio
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.errors import BodyTooLarge, ModelNotFound, UpstreamUnreachable
from gateway.upstream.aliases import Alias
from gateway.upstream.client import Body
from gateway.upstream.passage import Passage
from gateway.upstream.pool import Fit, Pool, anyone
from gateway.upstream.worker import Card, Kv, Worker
from gateway.wire import body as wire

# The paths whose bodies take vllm_xargs; what others make of a member that they do not know is their own affair.
_GENERATING = frozenset(("/chat/completions", "/completions", "/responses", "/messages"))


@dataclass(frozen=True, slots=True)
class Seat:
    """Who answers for an alias: a pool, a worker that speaks for it, the model's name there, and the KV policy to ask
    of it ("" for its own)."""

    pool: Pool
    worker: Worker
    model: str
    policy: str

    @property
    def kv(self) -> dict[str, Any] | None:
        """The policy under which it answers, as a model's card tells it."""
        kv = self.worker.kv
        if kv is None:
            return None
        asked = self.policy not in ("", kv.policy)
        return _told(kv) | ({"policy": self.policy, "knobs": None} if asked else {})  # nobody told those knobs


@dataclass(frozen=True, slots=True)
class Fleet:
    """`pools`, of which the first is the default; `aliases` by name, and in `homes` those that name a pool. `header` is
    the one in which a worker is told whose conversation it is ("" for none); `connect` how long, in seconds, a request
    may take to get a connection."""

    pools: Sequence[Pool]
    aliases: Mapping[str, Alias]
    homes: Mapping[str, Pool]
    header: bytes = b""
    connect: float = math.inf

    @property
    def default(self) -> Pool:
        """Whom a name goes to that nobody else is known to have."""
        return self.pools[0]

    @property
    def workers(self) -> Sequence[Worker]:
        """All replicas of all pools, the default one's first."""
        return list(dict.fromkeys(worker for pool in self.pools for worker in pool.replicas))

    @property
    def speaks(self) -> bool:
        """Whether the list of models is ours to tell, because the default worker's own would not say all."""
        return bool(self.aliases) or any(worker.kv is not None for worker in self.default.replicas)

    @property
    def wants_key(self) -> bool:
        """Whether it matters which conversation a request belongs to."""
        return bool(self.header) or any(pool.spreads for pool in self.pools)

    def route(self, path: str, body: Body, key: bytes | None = None) -> tuple[Passage, Body]:
        """Who is to answer a body sent to `path` under /v1, and the body as that worker is to get it. `key` is the
        conversation's, at most 64 bytes.

        ModelNotFound, or UpstreamUnreachable while nobody can know; BodyTooLarge when it is not held, so that an alias
        in it cannot be read; NotSpliceable when an alias stands in a body with doubled members.
        """
        if not isinstance(body, bytes) and self.aliases:
            raise BodyTooLarge("The body is too large to find its model in, which MNEME_WORKERS needs.")
        if not isinstance(body, bytes) or not (self.aliases or self.default.spreads):
            return self.passage(self.default, key), body
        name = wire.model_of(body)
        if name is None:
            return self.passage(self.default, key), body
        if name not in self.aliases:
            return self.passage(self._owner(name), key, lambda worker: name in worker.cards), body
        seat = self.seat(name)
        asks = seat.policy and path.partition("?")[0] in _GENERATING
        sent = wire.readdressed(body, seat.model, {"kv_policy": seat.policy} if asks else {})
        return self.passage(seat.pool, key, self._like(name, seat)), sent

    def passage(self, pool: Pool, key: bytes | None, fit: Fit = anyone) -> Passage:
        """A request's way to one of the pool's replicas."""
        return Passage(pool, pool.choose(key, fit), key, fit, self.header, self.connect)

    def seat(self, name: str) -> Seat:
        """Who answers for this alias; its own policy rather than one that is only asked for, the default worker first.
        ModelNotFound, or UpstreamUnreachable while nobody can know."""
        alias, home = self.aliases[name], self.homes.get(name)
        asked = [home] if home else self.pools
        found = ((pool, pool.first(lambda worker: _serves(worker, alias, sure=home is not None))) for pool in asked)
        able = [(pool, worker) for pool, worker in found if worker is not None]
        able.sort(key=lambda pair: pair[1].kv is not None and pair[1].kv.policy != alias.policy)
        if able and (model := alias.model or able[0][1].first):
            pool, worker = able[0]
            offered = worker.kv.per_request if worker.kv else ()
            return Seat(pool, worker, model, alias.policy if alias.policy in offered else "")
        if not all(pool.told for pool in asked):
            raise UpstreamUnreachable("The worker of this model has not been reached yet.")
        under = f" under the KV policy {alias.policy!r}" if alias.policy else ""
        raise ModelNotFound(f"No worker serves the model {name!r}{under}.", param="model")

    def seats(self) -> Iterator[tuple[str, Seat | None]]:
        """Every alias, and who answers for it now; None for nobody."""
        for name in self.aliases:
            try:
                yield name, self.seat(name)
            except (ModelNotFound, UpstreamUnreachable):
                yield name, None

    async def listing(self) -> bytes:
        """The list of models, as OpenAI has it: all that may be asked for by name, each name once. Workers are asked
        now; one that takes long is told as last known. UpstreamUnreachable when there is nothing to tell."""
        await self.glance()
        cards: dict[str, Card] = {}
        for worker in self.workers:
            for id, card in worker.cards.items():
                cards.setdefault(id, {**card, "kv": _told(worker.kv)} if worker.kv else card)
        for name, seat in self.seats():
            cards.pop(name, None)
            if seat and seat.worker.told:
                cards[name] = _renamed(name, seat)
        if not cards:
            raise UpstreamUnreachable("No worker tells its models.")
        return orjson.dumps({"object": "list", "data": list(cards.values())})

    async def glance(self) -> None:
        """Ask every worker what it is now, with a short deadline."""
        await asyncio.gather(*(worker.glance() for worker in self.workers))

    async def forget(self, salt: str, owner: str) -> int:
        """Have all workers that keep sessions remove an owner's; how many files it was. UpstreamError, after all were
        asked, if one of them does not say that it has. A replica that told nothing yet is taken for one of its kind."""
        kept = dict.fromkeys(worker for pool in self.pools for worker in _keeping(pool.replicas))
        counts = await asyncio.gather(*(worker.forget(salt, owner) for worker in kept), return_exceptions=True)
        for count in counts:
            if isinstance(count, BaseException):
                raise count
        return sum(count for count in counts if isinstance(count, int))

    async def watch(self) -> None:
        """Ask all of them now and then, for as long as this runs."""
        async with asyncio.TaskGroup() as tasks:
            for watched in dict.fromkeys(each for pool in self.pools for each in pool.watched):
                tasks.create_task(watched.watch())

    async def ping(self) -> None:
        """UpstreamError unless all pools beside the default one answer."""
        for failed in await asyncio.gather(*(pool.ping() for pool in self.pools[1:]), return_exceptions=True):
            if failed is not None:
                raise failed

    def _like(self, name: str, seat: Seat) -> Fit:
        """Who may answer in place of the one that speaks for an alias."""
        alias, sure, like = self.aliases[name], name in self.homes, seat.worker.likeness
        return lambda worker: worker.likeness == like and _serves(worker, alias, sure=sure)

    def _owner(self, model: str) -> Pool:
        """Of those that have the model the first, as in the list; the default one while it may have it."""
        if not self.default.told or _lists(self.default, model):
            return self.default
        return next((pool for pool in self.pools[1:] if _lists(pool, model)), self.default)


def _lists(pool: Pool, model: str) -> bool:
    return any(model in worker.cards for worker in pool.replicas)


def _keeping(replicas: Sequence[Worker]) -> list[Worker]:
    keeps = any(worker.kv is not None and worker.kv.sessions for worker in replicas)
    return [w for w in replicas if (w.kv.sessions if w.kv is not None else keeps and not w.told)]


def _serves(worker: Worker, alias: Alias, *, sure: bool) -> bool:
    """Whether the worker is what the alias asks for; `sure` that it is the one which the alias names."""
    has_policy = not alias.policy or worker.offers(alias.policy)
    return has_policy and (sure or not alias.model or alias.model in worker.cards)


def _told(kv: Kv) -> dict[str, Any]:
    return {"policy": kv.policy, "knobs": kv.knobs, "trained": kv.trained, "block": kv.block}


def _renamed(name: str, seat: Seat) -> Card:
    """The card of an alias: that of its model under another name."""
    card = seat.worker.cards.get(seat.model, {"object": "model", "created": 0, "owned_by": ""})
    return {**card, "id": name, "root": seat.model} | ({"kv": seat.kv} if seat.kv else {})
