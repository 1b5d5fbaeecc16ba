"""What the worker's /models tells: how long a prompt each model takes, and who serves it. Never blocks an answer."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.errors import UpstreamBroke, UpstreamError
from gateway.upstream.client import Upstream

log = logging.getLogger(__name__)

_REFRESH_SECONDS = 60.0
_RETRY_SECONDS = 2.0
_SALTED = frozenset(("vllm", "mneme"))
_NOT_SERVING = frozenset((401, 403))


@dataclass(frozen=True, slots=True)
class _Model:
    window: int
    owner: str


@dataclass
class Windows:
    """`fixed` tokens for every model, or 0 to believe the worker."""

    upstream: Upstream
    fixed: int
    _known: Mapping[str, _Model] = field(default_factory=dict)

    def of(self, model: str) -> int:
        """The model's context in tokens (vLLM: max_model_len); 0 when nobody knows."""
        known = self._known.get(model)
        return self.fixed or (known.window if known else 0)

    def salted(self, model: str) -> bool:
        """Whether to send vLLM's `cache_salt`, which strict servers refuse. Yes while nobody knows: a prompt asked
        twice costs less than a prefix cache that tells one tenant what another one said."""
        known = self._known.get(model)
        return known is None or known.owner in _SALTED

    async def watch(self) -> None:
        """Ask now and then, for as long as this runs; a worker may be restarted with another model."""
        while True:
            pause = _REFRESH_SECONDS
            try:
                self._known = await self._ask()
            except UpstreamError as away:
                log.debug("the worker's models are unknown: %s", away.message)
                pause = _RETRY_SECONDS
            await asyncio.sleep(pause)

    async def ping(self) -> None:
        """UpstreamError unless the worker answers, and would answer us."""
        await self._ask()

    async def _ask(self) -> Mapping[str, _Model]:
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
            model["id"]: _model(model)
            for model in (models if isinstance(models, list) else [])
            if isinstance(model, dict) and isinstance(model.get("id"), str)
        }


def _model(told: Mapping[str, Any]) -> _Model:
    window, owner = told.get("max_model_len"), told.get("owned_by")
    return _Model(window if isinstance(window, int) else 0, owner if isinstance(owner, str) else "")
