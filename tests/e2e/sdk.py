"""How these tests speak: the official Python client, set up for one gateway or worker, and conversations with it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from openai import AsyncOpenAI

from gateway.settings import LOCAL_KEY
from tests.e2e.worker import MODEL


@asynccontextmanager
async def sdk(base_url: str, key: str = LOCAL_KEY, **headers: str) -> AsyncIterator[AsyncOpenAI]:
    """The async client of a base URL that ends with /v1. Header names are given with underscores. It never retries,
    so that a failure shows."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with AsyncOpenAI(base_url=base_url, api_key=key, default_headers=named, max_retries=0) as client:
        yield client


async def tell(client: AsyncOpenAI, text: str, **options: Any) -> str:
    """One message in a conversation of its own; the reply's text."""
    answer = await client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": text}], **options)
    return answer.choices[0].message.content or ""


class Conversation:
    """A plain SDK loop: every request resends all that was said so far."""

    def __init__(self, client: AsyncOpenAI, system: str = "", **options: Any) -> None:
        self.client = client
        self.options = options
        self.messages: list[Any] = [{"role": "system", "content": system}] if system else []

    async def say(self, content: Any, **options: Any) -> str:
        """The next user message; the reply joins the history."""
        self.messages.append({"role": "user", "content": content})
        return await self.go_on(**options)

    async def go_on(self, **options: Any) -> str:
        """Ask with the history as it stands; the reply joins it."""
        chosen = {"model": MODEL, **self.options, **options}
        message = await self.ask(chosen)
        self.messages.append(message)
        return str(message["content"] or "")

    async def ask(self, options: dict[str, Any]) -> dict[str, Any]:
        """The reply to the history, as a message."""
        answer = await self.client.chat.completions.create(messages=self.messages, **options)
        return dict(answer.choices[0].message.model_dump(exclude_unset=True))


class Marathon(Conversation):
    """The same with the client's typed layer left out: it takes most of a second for a history of hundreds."""

    async def ask(self, options: dict[str, Any]) -> dict[str, Any]:
        """The reply to the history, as a message."""
        extra = options.pop("extra_body", {})
        body = {"messages": self.messages, **options, **extra}
        answer = await self.client.post("/chat/completions", body=body, cast_to=object)
        return dict(cast(Any, answer)["choices"][0]["message"])
