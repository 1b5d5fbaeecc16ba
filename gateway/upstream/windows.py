"""How long a prompt each model takes, as the worker's /models tells (vLLM: max_model_len). Never blocks an answer."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.errors import UpstreamError
from gateway.upstream.client import Upstream

log = logging.getLogger(__name__)

_REFRESH_SECONDS = 60.0
_RETRY_SECONDS = 2.0


@dataclass
class Windows:
    """`fixed` tokens for every model, or 0 to believe the worker."""

    upstream: Upstream
    fixed: int
    _known: Mapping[str, int] = field(default_factory=dict)

    def of(self, model: str) -> int:
        """The model's context in tokens; 0 when nobody knows."""
        return self.fixed or self._known.get(model, 0)

    async def watch(self) -> None:
        """Ask now and then, for as long as this runs; a worker may be restarted with another model."""
        while True:
            try:
                self._known = await self._ask()
            except UpstreamError as away:
                log.debug("the worker's models are unknown: %s", away.message)
            await asyncio.sleep(_REFRESH_SECONDS if self._known else _RETRY_SECONDS)

    async def ping(self) -> None:
        """UpstreamError unless the worker answers."""
        await self._ask()

    async def _ask(self) -> Mapping[str, int]:
        async with self.upstream.send("GET", "/models", [], b"") as answer:
            body = await answer.whole()
        try:
            parsed: Any = orjson.loads(body)
        except orjson.JSONDecodeError:
            return {}
        models = parsed.get("data") if isinstance(parsed, dict) else None
        return {
            model["id"]: model["max_model_len"]
            for model in (models if isinstance(models, list) else [])
            if isinstance(model, dict)
            and isinstance(model.get("max_model_len"), int)
            and isinstance(model.get("id"), str)
        }
