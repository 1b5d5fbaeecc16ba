"""A whole gateway in this process for an evaluation, spoken to through its own front door, and waited for until it has
thought about everything. Knows no adapter, and nothing of what is asked.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import orjson

from gateway.app import build_app
from gateway.errors import UpstreamError
from gateway.evals.recall.embedded import Opener
from gateway.memory.records import Scope
from gateway.services import Services

TENANT = "local"
KEY = "mneme-local"
_POLL, _STALLED, _SECONDS = 0.05, 300.0, 600.0


class NotAnswered(UpstreamError):
    """The gateway, or a model behind it, did not do what was asked; the message says what it answered."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The assistant's text; tokens of prompt and answer as the model told them (0 where it does not), and those that
    memory put in; what memory skipped."""

    text: str
    prompt_tokens: int
    answer_tokens: int
    injected: int
    skipped: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Indoors:
    """Made by `open`; `model` is what questions are put to."""

    services: Services
    client: httpx.AsyncClient
    model: str

    @classmethod
    @asynccontextmanager
    async def open(cls, opener: Opener, model: str = "") -> AsyncIterator["Indoors"]:
        """On fresh stores in a temporary directory, which is removed in the end; "" is the first model that there is.
        The opener's gateway must be the local user's."""
        with TemporaryDirectory(prefix="mneme-eval-") as data:
            async with opener(Path(data)) as services:
                transport = httpx.ASGITransport(build_app(services))
                sent = {"authorization": f"Bearer {KEY}"}
                async with httpx.AsyncClient(
                    transport=transport, base_url="http://127.0.0.1", headers=sent, timeout=_SECONDS
                ) as client:
                    yield cls(services, client, model or await _first_model(client))

    def scope(self, user: str) -> Scope:
        """Whose memories are those of this user."""
        return Scope(TENANT, user)

    async def say(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        user: str,
        session: str,
        at: float,
        mode: str,
        policy: str,
        longest: int,
    ) -> Answer:
        """One chat completion in memory mode `mode` under a policy, as at `at` (seconds since the epoch), of at most
        `longest` tokens. NotAnswered for any status but 200."""
        moment = datetime.fromtimestamp(at, UTC).isoformat()
        body = {
            "model": self.model,
            "messages": messages,
            "user": user,
            "max_tokens": longest,
            "temperature": 0,
            "memory": {"policy": policy, "at": moment},
        }
        headers = {"x-mneme-session": session, "x-mneme-memory": mode, "content-type": "application/json"}
        answer = await self.client.post("/v1/chat/completions", content=orjson.dumps(body), headers=headers)
        return _read(answer)

    async def settled(self, scope: Scope) -> None:
        """Return once all that was said is indexed, and was thought about. NotAnswered when that comes to a halt."""
        agenda, loop, least = self.services.reviser.agenda, asyncio.get_running_loop(), (-1, -1)
        since = loop.time()
        while True:
            left = (await self.services.journal.lag()).pending, await agenda.waiting()
            if left == (0, 0) and not await agenda.unfinished(scope):
                return
            if left[0] == 0:
                await agenda.wake(scope, self.services.clock())  # nobody says any more: there is nothing to wait for
            if left != least:
                least, since = left, loop.time()
            if loop.time() - since > _STALLED:
                raise NotAnswered(f"Reflection stands still: {left[1]} turns wait to be thought about.")
            await asyncio.sleep(_POLL)


async def _first_model(client: httpx.AsyncClient) -> str:
    answer = await client.get("/v1/models")
    models: list[dict[str, Any]] = answer.json().get("data", []) if answer.status_code == 200 else []
    if not models:
        raise NotAnswered("The upstream lists no model: name one.")
    return str(models[0]["id"])


def _read(answer: httpx.Response) -> Answer:
    if answer.status_code != 200:
        raise NotAnswered(f"status {answer.status_code}: {answer.text[:300]}")
    try:
        body: Any = orjson.loads(answer.content)
        text, usage = body["choices"][0]["message"].get("content") or "", body.get("usage") or {}
        asked, answered = (int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens"))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        raise NotAnswered("The model's answer is no chat completion.") from None
    told = answer.headers
    skipped = tuple(reason for reason in told.get("x-mneme-skipped", "").split(",") if reason)
    return Answer(str(text), asked, answered, int(told.get("x-mneme-tokens", "0")), skipped)
