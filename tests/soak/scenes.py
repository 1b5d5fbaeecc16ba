"""What one user does in one go: speak in every way there is, leave early, be refused, be looked at by an operator. Says
what came that should not have. Knows no pace.
"""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from tests.bench import words
from tests.e2e.worker import MODEL, Worker
from tests.support.upstream import Received, Reply

KEY, TENANT = "soak-key", "soak"
KEYS = f"{KEY}:{TENANT}"
SLOW = "scripted-slow"
_CHAT = "/v1/chat/completions"
_WAIT, _LEAVE = 0.5, 0.1
_HISTORY, _SESSION = 8, 6
_TRIES = 5
_TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]

Message = dict[str, Any]


@dataclass
class Person:
    """A user at one gateway after the other. Half of them name their session and begin a new one now and then; half
    resend their history. `turns` counts what they began; who has them in `hand` plays a scene with them."""

    name: str
    number: int
    dice: random.Random
    turns: int = 0
    history: list[Message] = field(default_factory=list)
    hand: asyncio.Lock = field(default_factory=asyncio.Lock)

    def says(self) -> str:
        """Something about their life, or a question about it."""
        return words.fact(self.dice) if self.dice.random() < 0.7 else words.question(self.dice)

    def asks(self, text: str, **fields: Any) -> dict[str, Any]:
        """Arguments of an HTTP call that says this in the conversation so far."""
        self.turns += 1
        headers = {"authorization": f"Bearer {KEY}", "x-mneme-user": self.name}
        if self.number % 2:
            headers["x-mneme-session"] = f"session-{self.turns // _SESSION}"
        body = {"model": MODEL, "messages": [*self.history, {"role": "user", "content": text}], **fields}
        return {"headers": headers, "json": body}

    def heard(self, *messages: Message) -> None:
        """What the next question is asked after; nothing for those who name their session."""
        if not self.number % 2:
            self.history = [] if len(self.history) >= _HISTORY else [*self.history, *messages]


Scene = Callable[[Person, httpx.AsyncClient], Awaitable[str]]
"""The client knows the gateway's address. What was wrong, "" for nothing."""


async def plain(person: Person, client: httpx.AsyncClient) -> str:
    """A whole answer."""
    text = person.says()
    answer = await client.post(_CHAT, **person.asks(text))
    if answer.status_code == 200:
        person.heard({"role": "user", "content": text}, answer.json()["choices"][0]["message"])
    return _unless(answer, 200)


async def streamed(person: Person, client: httpx.AsyncClient) -> str:
    """A stream, to its end."""
    answer = await client.post(_CHAT, **person.asks(person.says(), stream=True))
    return _unless(answer, 200) or ("" if answer.text.endswith("data: [DONE]\n\n") else "a stream was cut")


async def without_memory(person: Person, client: httpx.AsyncClient) -> str:
    """As if there were no gateway."""
    asked = person.asks(person.says())
    return _unless(
        await client.post(_CHAT, headers={**asked["headers"], "x-mneme-memory": "off"}, json=asked["json"]), 200
    )


async def with_tools(person: Person, client: httpx.AsyncClient) -> str:
    """A call, its result, the answer."""
    text = person.says()
    answer = await client.post(_CHAT, **person.asks(text, tools=_TOOLS))
    if answer.status_code != 200:
        return _unless(answer, 200)
    called = answer.json()["choices"][0]["message"]
    asked = person.asks(text, tools=_TOOLS)
    result = {"role": "tool", "tool_call_id": called["tool_calls"][0]["id"], "content": "It rains."}
    asked["json"]["messages"] += [{"role": "assistant", **called}, result]
    return _unless(await client.post(_CHAT, **asked), 200)


async def leaves_a_stream(person: Person, client: httpx.AsyncClient) -> str:
    """After the first piece."""
    async with client.stream("POST", _CHAT, **person.asks(person.says(), stream=True)) as answer:
        async for _ in answer.aiter_raw():
            break
    return _unless(answer, 200)


async def leaves_before_the_answer(person: Person, client: httpx.AsyncClient) -> str:
    """While the worker still thinks."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_LEAVE):
            await client.post(_CHAT, **person.asks(person.says(), model=SLOW))
            return "a slow worker was quick"
    return ""


async def refused_by_the_worker(person: Person, client: httpx.AsyncClient) -> str:
    """Its error passes."""
    return _unless(await client.post(_CHAT, **person.asks(person.says(), model="error-429")), 429)


async def refused_at_the_door(person: Person, client: httpx.AsyncClient) -> str:
    """A key that nobody has, and a user that cannot be."""
    asked = person.asks(person.says())
    stranger = {**asked["headers"], "authorization": "Bearer nobody's"}
    unnamed = {**asked["headers"], "x-mneme-user": "x" * 600}
    return _unless(await client.post(_CHAT, headers=stranger, json=asked["json"]), 401) or _unless(
        await client.post(_CHAT, headers=unnamed, json=asked["json"]), 400
    )


async def unreadable(person: Person, client: httpx.AsyncClient) -> str:
    """No JSON: it passes, and the worker says what it thinks of it."""
    headers = {**person.asks("")["headers"], "content-type": "application/json"}
    return _unless(await client.post(_CHAT, headers=headers, content=b'{"model": "error-400", "messages": ['), 400)


async def looked_at(person: Person, client: httpx.AsyncClient) -> str:
    """An operator reads."""
    whose = {"tenant": TENANT, "user": person.name}
    paths = ("memories", "traces", "sessions", "journal", "stats", "users", "workers")
    path = person.dice.choice(paths)
    asked = whose if path != "journal" else None
    return _unless(await _in_the_end(lambda: client.get(f"/admin/{path}", params=asked)), 200)


async def searched(person: Person, client: httpx.AsyncClient) -> str:
    """An operator asks what would be found."""
    params = {"tenant": TENANT, "user": person.name, "q": words.question(person.dice)}
    return _unless(await _in_the_end(lambda: client.get("/admin/search", params=params)), 200)


async def noted(person: Person, client: httpx.AsyncClient) -> str:
    """An operator pins a note and thinks better of it."""
    whose = {"tenant": TENANT, "user": person.name}
    note = {"text": words.fact(person.dice), "pinned": True}
    made = await _in_the_end(lambda: client.post("/admin/memories", params=whose, json=note))
    if made.status_code != 201:
        return _unless(made, 201)
    id = made.json()["id"]
    return _unless(await _in_the_end(lambda: client.delete(f"/admin/memories/{id}", params=whose)), 200)


async def forgotten(person: Person, client: httpx.AsyncClient) -> str:
    """For good; the certificate says that nothing is left."""
    whose = {"tenant": TENANT, "user": person.name}
    made = await _in_the_end(lambda: client.post("/admin/forget", params=whose))
    if made.status_code != 200:
        return _unless(made, 200)
    left = json.dumps(made.json()["remains"])
    return "" if not any(made.json()["remains"].values()) else f"forgetting left {left}"


async def _in_the_end(ask: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    """What an operator does with a 503, after which nothing has changed: ask again."""
    for _ in range(_TRIES):
        answer = await ask()
        if answer.status_code != 503:
            break
        await asyncio.sleep(1.0)
    return answer


SCENES: dict[Scene, int] = {
    streamed: 30,
    plain: 24,
    with_tools: 8,
    without_memory: 8,
    leaves_a_stream: 8,
    leaves_before_the_answer: 4,
    refused_by_the_worker: 3,
    refused_at_the_door: 2,
    unreadable: 1,
    looked_at: 6,
    searched: 3,
    noted: 1,
}
"""And how often each of them happens, to one another."""


class Stage(Worker):
    """The worker of all scenes. Remembers no prompt; the model SLOW takes its time."""

    def answer(self, received: Received) -> Reply:
        """One request's answer."""
        self.upstream.received.clear()
        try:
            reply = super().answer(received)
        except json.JSONDecodeError:
            return Reply(400, chunks=(b'{"error":{"message":"No JSON.","type":"BadRequestError","code":400}}',))
        return replace(reply, wait=_WAIT) if SLOW.encode() in received.body else reply


def _unless(answer: httpx.Response, status: int) -> str:
    return "" if answer.status_code == status else f"{answer.status_code} instead of {status}"
