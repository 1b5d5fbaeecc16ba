"""A model behind any OpenAI-compatible /v1/chat/completions, asked for JSON of a schema. Knows no question."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson

from gateway.errors import ModelAway, SettingsRefused, Unusable
from gateway.memory.budget import tokens
from gateway.memory.thinking import Told
from gateway.tracing import UNTRACED, Said, Tracer

_SECONDS = 120.0
_LONGEST = 2048  # tokens of an answer
_LATER = (408, 409, 425, 429)


class HttpAsker:
    """See thinking.Asker. Made by `open`; `model` is named in every request, with `priority` unless that is 0, and each
    is a span of the tracer's."""

    def __init__(self, client: httpx.AsyncClient, model: str, tracer: Tracer, priority: int) -> None:
        self._client = client
        self._named = {"model": model, **({"priority": priority} if priority else {})}
        self._tracer = tracer

    @classmethod
    @asynccontextmanager
    async def open(
        cls, url: str, model: str, key: str = "", tracer: Tracer = UNTRACED, priority: int = 0
    ) -> AsyncIterator["HttpAsker"]:
        """The model at `url`, such as http://host:port/v1; the key may be empty. Nothing is asked yet. SettingsRefused
        where the URL is none."""
        headers = {"authorization": f"Bearer {key}"} if key else {}
        try:
            client = httpx.AsyncClient(base_url=url, headers=headers, timeout=_SECONDS)
        except httpx.InvalidURL as wrong:
            raise SettingsRefused(f"The URL of the model that reflection asks cannot be used: {wrong}.") from None
        async with client:
            yield cls(client, model, tracer, priority)

    async def ask(self, system: str, prompt: str, schema: Mapping[str, Any], images: Sequence[str] = ()) -> Told:
        parts: Any = prompt
        if images:
            pictures = [{"type": "image_url", "image_url": {"url": url}} for url in images]
            parts = [{"type": "text", "text": prompt}, *pictures]
        body = {
            **self._named,
            "messages": [{"role": "system", "content": system}, {"role": "user", "content": parts}],
            "temperature": 0,
            "max_tokens": _LONGEST,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "strict": True, "schema": schema},
            },
        }
        with self._tracer.asking("/chat/completions", str(self._client.base_url), body) as span:
            said = _read(await self._post(body))
            span.ended(200)
            self._tracer.answered(said)
        used = said.usage.get("total_tokens") or tokens(system) + tokens(prompt) + tokens(said.text)
        return Told(said.text, used)

    async def ping(self) -> None:
        try:
            (await self._client.get("models")).raise_for_status()
        except (httpx.HTTPError, httpx.InvalidURL) as failed:
            raise ModelAway(f"The model that reflection asks does not answer: {type(failed).__name__}.") from failed

    async def _post(self, body: Mapping[str, Any]) -> bytes:
        raw = orjson.dumps(_valid(body))
        try:
            headers = self._tracer.onward([(b"content-type", b"application/json")])
            answer = await self._client.post("chat/completions", content=raw, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL, RuntimeError) as failed:
            raise ModelAway(f"The model that reflection asks does not answer: {type(failed).__name__}.") from failed
        if answer.status_code >= 500 or answer.status_code in _LATER:
            raise ModelAway(f"The model that reflection asks does not answer: status {answer.status_code}.")
        if answer.status_code != 200:
            raise Unusable(f"The model refuses what reflection asks: status {answer.status_code}.")
        return answer.content


def _read(raw: bytes) -> Said:
    """What was said, and what it tells about itself. A refusal, in whatever form, is Unusable."""
    try:
        body = orjson.loads(raw)
        choice = body["choices"][0]
        text, usage = choice["message"].get("content"), body.get("usage") or {}
        used = usage.get("total_tokens") or 0
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as failed:
        raise Unusable("The model's answer is no chat completion.") from failed
    if not isinstance(text, str) or not isinstance(used, int):
        raise Unusable("The model refused to answer.")
    return Said(str(body.get("id", "")), str(body.get("model", "")), [str(choice.get("finish_reason"))], usage, text)


def _valid(value: Any) -> Any:
    """The same without lone surrogates, which no JSON can carry."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {name: _valid(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_valid(item) for item in value]
    return value
