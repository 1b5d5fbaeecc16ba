"""One worker and what it tells about itself: its models, how long their prompts may be, its KV policy. Never blocks an
answer: what is told here is what was heard last.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec
import orjson

from gateway.errors import UpstreamBroke, UpstreamError
from gateway.upstream.client import Headers, Upstream
from gateway.upstream.standing import Standing, State

log = logging.getLogger(__name__)

_REFRESH_SECONDS = 60.0
_REFRESH_KV_SECONDS = 10.0  # restarted without its policy, it would ignore that a request asks for one
_RETRY_SECONDS = 2.0
_KV_SECONDS = 1.0
_GLANCE_SECONDS = 1.5
_LOOK_SECONDS = 10.0
_JSON: Headers = [(b"content-type", b"application/json")]
_SALTED = frozenset(("vllm", "mneme"))
_NOT_SERVING = frozenset((401, 403))
# Of the policies that a request may ask for without its worker having told their knobs, those that have a sink.
_SINKING = frozenset(("sink_window",))

Card = Mapping[str, Any]
"""A model as /models tells it, with everything that stands there."""


class Process(msgspec.Struct, frozen=True):
    """A process of the worker in which the policy is active, and in how many layers (0: it has none)."""

    role: str
    pid: int
    rank: int = 0
    layers: int = 0


class Kv(msgspec.Struct, frozen=True):
    """What a worker reports at /kv, beside its /v1. Lengths are tokens. `per_request` are the policies that a request
    may choose by vllm_xargs; `sessions`: whether it keeps the KV of sessions in files."""

    object: Literal["kv.policy"]
    policy: str
    knobs: dict[str, Any] = {}
    block: int = 0
    trained: int = 0
    per_request: tuple[str, ...] = ()
    processes: tuple[Process, ...] = ()
    vllm: str = ""
    sessions: bool = False

    def likeness(self) -> bytes:
        """The same for workers that differ in their processes only."""
        return msgspec.json.encode(msgspec.structs.replace(self, processes=()), order="sorted")


class _Forgotten(msgspec.Struct):
    files: int


_report = msgspec.json.Decoder(Kv)
_forgotten = msgspec.json.Decoder(_Forgotten)


@dataclass(eq=False)
class Worker:
    """`url` is its base URL; `fixed` the window of all its models in tokens, or 0 to believe what it tells; `group` the
    name that it shares with its fellow replicas. `cards` are its models by id, `kv` is None for a stock worker; `told`
    that both were heard at least once."""

    upstream: Upstream
    url: str
    fixed: int = 0
    group: str = ""
    standing: Standing = field(default_factory=Standing, init=False)
    cards: Mapping[str, Card] = field(default_factory=dict, init=False)
    kv: Kv | None = field(default=None, init=False)
    told: bool = field(default=False, init=False)
    reachable: bool = field(default=False, init=False)
    _doubted: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    @property
    def shown(self) -> str:
        """Its URL without the credentials that may stand in it."""
        url = urlsplit(self.url)
        return url._replace(netloc=url.netloc.rpartition("@")[2]).geturl()

    @property
    def state(self) -> State:
        """What keeps requests from it, if anything."""
        if self.standing.draining:
            return "draining"
        if not self.reachable:
            return "unreachable"
        breaker = self.standing.breaker.state
        return "ready" if breaker == "closed" else breaker

    @property
    def takes(self) -> bool:
        """Whether a new request may go there."""
        return self.reachable and not self.standing.draining and self.standing.breaker.admits

    @property
    def likeness(self) -> bytes:
        """The same for fellow replicas to which the same prompt may be sent."""
        return self.kv.likeness() if self.kv is not None else b""

    @property
    def first(self) -> str:
        """The model that it names first; "" while nobody knows."""
        return next(iter(self.cards), "")

    def window(self, model: str) -> int:
        """The model's context in tokens (vLLM: max_model_len); 0 when nobody knows."""
        told = self.cards.get(model, {}).get("max_model_len")
        return self.fixed or (told if isinstance(told, int) else 0)

    def salted(self, model: str) -> bool:
        """Whether to send vLLM's `cache_salt`, which strict servers refuse. Yes while nobody knows: a prompt asked
        twice costs less than a prefix cache that tells one tenant what another one said."""
        card = self.cards.get(model)
        return card is None or str(card.get("owned_by")) in _SALTED

    def offers(self, policy: str) -> bool:
        """Whether a request to it can be served under this KV policy."""
        return self.kv is not None and policy in (self.kv.policy, *self.kv.per_request)

    def sink(self, xargs: Any) -> int | None:
        """What a request with these vllm_xargs has as its sink anyway, in tokens; None where it cannot choose another
        one, or has done so."""
        if self.kv is None or not isinstance(xargs, dict | None) or "kv_sink" in (xargs or {}):
            return None
        policy = (xargs or {}).get("kv_policy", self.kv.policy)
        if policy not in self.kv.per_request:
            return None
        if policy not in _SINKING and (policy != self.kv.policy or "sink" not in self.kv.knobs):
            return None
        own = self.kv.knobs.get("sink")  # a knob that two policies share is the worker's own in both
        return own if isinstance(own, int) else 0

    def in_blocks(self, tokens: int) -> int:
        """The tokens of the whole blocks that hold so many: heads that need the same blocks then share a prefix cache,
        which the worker salts by the sink that it is asked for."""
        block = self.kv.block if self.kv is not None else 0
        return -(-tokens // block) * block if block else tokens

    async def watch(self) -> None:
        """Ask now and then, and whenever it is in doubt, for as long as this runs; a worker may be restarted with
        another model or policy."""
        while True:
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self.look()
            except (UpstreamError, TimeoutError) as away:
                self.reachable = False
                log.debug("%s does not tell its models: %s", self.shown, away)
            refresh = _REFRESH_SECONDS if self.kv is None else _REFRESH_KV_SECONDS
            self._doubted.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(refresh if self.reachable and self.told else _RETRY_SECONDS):
                    await self._doubted.wait()

    def doubt(self) -> None:
        """Something says that it does not answer any more: have it looked at."""
        if self.reachable:
            self._doubted.set()

    async def look(self) -> None:
        """Ask now. UpstreamError when it does not answer; what it told before is kept."""
        try:
            self.cards = await self._models()
        except UpstreamError:
            self.reachable = False
            raise
        self.reachable = True
        with suppress(UpstreamError, TimeoutError):
            self.kv = await self._kv()
            self.told = True

    async def glance(self) -> None:
        """Ask now, and be content with what is known if the answer takes long."""
        try:
            async with asyncio.timeout(_GLANCE_SECONDS):
                await self.look()
        except (UpstreamError, TimeoutError):
            self.doubt()
            self.reachable = False

    async def forget(self, salt: str, owner: str) -> int:
        """Have it remove the KV of an owner's sessions; how many files it was. UpstreamError unless it has."""
        body = orjson.dumps({"salt": salt, "owner": owner})
        async with self.upstream.send("POST", "/kv/forget", _JSON, body, beside=True) as answer:
            said = await answer.whole()
        try:
            if answer.status == 200:
                return _forgotten.decode(said).files
        except (msgspec.DecodeError, RecursionError):
            pass
        raise UpstreamBroke(f"The worker {self.shown} was to forget sessions and did not say that it has.")

    async def ping(self) -> None:
        """UpstreamError unless the worker answers, and would answer us."""
        await self._models()

    async def _models(self) -> Mapping[str, Card]:
        async with self.upstream.send("GET", "/models", [], b"") as answer:
            if answer.status >= 500 or answer.status in _NOT_SERVING:
                raise UpstreamBroke(f"The worker answers /models with status {answer.status}.")
            body = await answer.whole()
        try:
            parsed: Any = orjson.loads(body)
        except orjson.JSONDecodeError:
            return {}
        models = parsed.get("data") if isinstance(parsed, dict) else None
        return {
            model["id"]: model
            for model in (models if isinstance(models, list) else [])
            if isinstance(model, dict) and isinstance(model.get("id"), str)
        }

    async def _kv(self) -> Kv | None:
        """None from a worker that knows no such page, or has no policy that is active throughout."""
        async with asyncio.timeout(_KV_SECONDS), self.upstream.send("GET", "/kv", [], b"", beside=True) as answer:
            body = await answer.whole()
        try:
            return _report.decode(body) if answer.status == 200 else None
        except (msgspec.DecodeError, RecursionError):
            return None
