"""A running gateway as its callers see it: the official client for the chat, plain HTTP for the rest.

Must never know what stands behind the door: every figure comes out of an answer's body or headers.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import openai
from openai.types.chat import ChatCompletionMessageParam

from gateway.errors import UpstreamError

_ANSWER_SECONDS = 120.0
_STALLED_SECONDS = 60.0
_POLL_SECONDS = 0.05
_REPLY_TOKENS = 16
_PENDING, _DEAD = "mneme_journal_pending", "mneme_journal_dead"


class DoorShut(UpstreamError):
    """The gateway did not do what was asked of it; the message says what it answered."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: the assistant's text, the prompt that the worker received, and the x-mneme-* headers."""

    text: str
    prompt: str | None
    tokens: int
    millis: float
    skipped: tuple[str, ...]
    trace: str


@dataclass(frozen=True, slots=True)
class Lag:
    """Turns that wait to be indexed, and turns that could not be."""

    pending: int
    dead: int


@dataclass(frozen=True, slots=True)
class Door:
    """`model` is what every question is put to; `plain` has the gateway's root as its base and sends the admin key."""

    client: openai.AsyncOpenAI
    plain: httpx.AsyncClient
    model: str

    @classmethod
    @asynccontextmanager
    async def open(cls, base_url: str, key: str, admin_key: str) -> AsyncIterator["Door"]:
        """Through the gateway at `base_url` (with /v1), for the first model it lists; DoorShut if it lists none."""
        root = base_url.rstrip("/").removesuffix("/v1")
        sent = {"authorization": f"Bearer {admin_key}"} if admin_key else {}
        async with (
            openai.AsyncOpenAI(base_url=f"{root}/v1", api_key=key, max_retries=0, timeout=_ANSWER_SECONDS) as client,
            httpx.AsyncClient(base_url=root, headers=sent, timeout=_ANSWER_SECONDS) as plain,
        ):
            try:
                models = [model.id async for model in client.models.list()]
            except openai.APIError as failed:
                raise DoorShut(f"{root}/v1/models: {failed}") from failed
            if not models:
                raise DoorShut(f"{root}/v1/models lists no model.")
            yield cls(client, plain, models[0])

    async def say(
        self,
        messages: Sequence[ChatCompletionMessageParam],
        *,
        user: str,
        session: str,
        at: datetime,
        mode: str,
        with_prompt: bool = False,
    ) -> Reply:
        """One chat completion in memory mode `mode`. DoorShut when it is refused: no turn may go missing unsaid."""
        extra: dict[str, Any] = {"memory": {"at": at.isoformat()}}
        if with_prompt:
            extra["return_prompt_text"] = True
        try:
            raw = await self.client.chat.completions.with_raw_response.create(
                model=self.model,
                messages=list(messages),
                user=user,
                max_tokens=_REPLY_TOKENS,
                extra_headers={"X-Mneme-Session": session, "X-Mneme-Memory": mode},
                extra_body=extra,
            )
            answer = raw.parse()
        except openai.APIError as failed:
            raise DoorShut(f"{session} of {user}: {failed}") from failed
        told = raw.headers
        prompt = (answer.model_extra or {}).get("prompt_text")
        return Reply(
            text=(answer.choices[0].message.content or "") if answer.choices else "",
            prompt=prompt if isinstance(prompt, str) else None,
            tokens=int(told.get("x-mneme-tokens", "0")),
            millis=float(told.get("x-mneme-ms", "0")),
            skipped=tuple(reason for reason in told.get("x-mneme-skipped", "").split(",") if reason),
            trace=told.get("x-mneme-trace", ""),
        )

    async def lag(self) -> Lag:
        """The writer's backlog, of all users, as /metrics tells it now."""
        try:
            page = (await self.plain.get("/metrics")).raise_for_status().text
        except httpx.HTTPError as failed:
            raise DoorShut(f"/metrics: {failed}") from failed
        values = dict(line.rsplit(" ", 1) for line in page.splitlines() if line.startswith((_PENDING, _DEAD)))
        if _PENDING not in values or _DEAD not in values:
            raise DoorShut(f"/metrics has no {_PENDING}: is this a Mneme gateway?")
        return Lag(int(float(values[_PENDING])), int(float(values[_DEAD])))

    async def indexed(self) -> None:
        """Return when nothing waits to be indexed; DoorShut when the backlog has not shrunk for a minute."""
        least, loop = (await self.lag()).pending, asyncio.get_running_loop()
        since = loop.time()
        while least:
            await asyncio.sleep(_POLL_SECONDS)
            now = (await self.lag()).pending
            if now < least:
                least, since = now, loop.time()
            if loop.time() - since > _STALLED_SECONDS:
                raise DoorShut(f"The gateway's writer stands still: {now} turns wait to be indexed.")

    async def forget(self, user: str, tenant: str) -> None:
        """Have everything about a user deleted. DoorShut when the admin API refuses."""
        who: Mapping[str, str] = {"tenant": tenant, "user": user}
        try:
            (await self.plain.post("/admin/forget", params=who)).raise_for_status()
        except httpx.HTTPError as failed:
            raise DoorShut(f"{user} was not forgotten: {failed}") from failed
