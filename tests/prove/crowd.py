"""Simulated users: each tells numbered facts through whichever gateway answers, and knows which answers it saw whole.

Half of them name their session, and half resend their history, which is how clients without sessions speak. Odd turns
are streamed. An answer counts as acknowledged when its last byte has been seen, of a stream `[DONE]`.
"""

import asyncio
import json
import random
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

KEY = "prove-key"
TENANT = "prove"
KEYS = f"{KEY}:{TENANT}"
CANARY = re.compile(r"canary-([a-z0-9]+-\d+)-\d+")
WHOLE, GONE, CUT = "whole", "gone", "cut"
"""How an attempt ended: as it should; without a connection; or in the middle, though the connection held. Any other end
is told by its status."""
_ATTEMPTS = 40
_PAUSE = 0.25
_PATIENCE = httpx.Timeout(60.0)


@dataclass
class User:
    """One of them. `seen` are the facts whose answers were whole, `ends` how every attempt ended."""

    name: str
    number: int
    seen: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)
    took: list[float] = field(default_factory=list)
    _history: list[dict[str, str]] = field(default_factory=list)

    async def tell(self, client: httpx.AsyncClient, gateways: Sequence[str]) -> None:
        """The next fact, to one gateway after the other until one has answered it."""
        turn = len(self.seen) + len(self.unseen)
        text = f"Parcel canary-{self.name}-{turn} stands on shelf {self.number * 7 + turn} of the hall."
        self.unseen.append(text)
        began = time.monotonic()
        for attempt in range(_ATTEMPTS):
            url = gateways[(self.number + turn + attempt) % len(gateways)]
            end, reply = await self._ask(client, url, text, streamed=bool((self.number + turn) % 2))
            self.ends[end] += 1
            if end == WHOLE:
                self.took.append(time.monotonic() - began)
                self.seen.append(self.unseen.pop())
                if not self._names:
                    self._history += [{"role": "user", "content": text}, {"role": "assistant", "content": reply}]
                return
            await asyncio.sleep(_PAUSE)

    @property
    def _names(self) -> bool:
        return self.number % 4 < 2

    async def _ask(self, client: httpx.AsyncClient, url: str, text: str, *, streamed: bool) -> tuple[str, str]:
        body = {
            "model": "scripted",
            "messages": [*self._history, {"role": "user", "content": text}],
            "stream": streamed,
        }
        headers = {"authorization": f"Bearer {KEY}", "x-mneme-user": self.name}
        if self._names:
            headers["x-mneme-session"] = "hall"
        try:
            async with client.stream("POST", f"{url}/v1/chat/completions", json=body, headers=headers) as answer:
                raw = (await answer.aread()).decode()
        except httpx.TransportError:
            return GONE, ""
        if answer.status_code != 200:
            return str(answer.status_code), ""
        return _folded(raw) if streamed else (WHOLE, json.loads(raw)["choices"][0]["message"]["content"])


def _folded(raw: str) -> tuple[str, str]:
    events = [line.removeprefix("data: ") for line in raw.splitlines() if line.startswith("data: ")]
    if not events or events[-1] != "[DONE]":
        return CUT, ""
    pieces = [json.loads(event)["choices"][0]["delta"].get("content") or "" for event in events[:-1]]
    return WHOLE, "".join(pieces)


@dataclass
class Crowd:
    """All users of a scenario, speaking at a steady rate, each at a pace of its own."""

    users: list[User]
    rate: float

    @classmethod
    def of(cls, scenario: int, users: int, rate: float) -> "Crowd":
        """Nobody has spoken yet. `rate` is turns a second, of all together."""
        return cls([User(f"s{scenario}-{number}", number) for number in range(users)], rate)

    async def speak(self, gateways: Sequence[str], seconds: float) -> None:
        """For so long; what was begun then is brought to its end."""
        until, pace = time.monotonic() + seconds, len(self.users) / self.rate
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
        async with httpx.AsyncClient(timeout=_PATIENCE, limits=limits) as client, asyncio.TaskGroup() as tasks:
            for user in self.users:
                tasks.create_task(_speak(user, client, gateways, until, pace))


async def _speak(user: User, client: httpx.AsyncClient, gateways: Sequence[str], until: float, pace: float) -> None:
    dice = random.Random(user.name)
    await asyncio.sleep(dice.random() * pace)
    while time.monotonic() < until:
        began = time.monotonic()
        await user.tell(client, gateways)
        await asyncio.sleep(max(began + pace * (0.5 + dice.random()) - time.monotonic(), 0))


@dataclass
class Listener:
    """What the worker sees of the prompts: `leaked` are owners of facts that stood in somebody else's, `recalled`
    counts prompts with something recalled for their last message."""

    leaked: list[str] = field(default_factory=list)
    recalled: int = 0

    def __call__(self, body: Mapping[str, Any]) -> str:
        """The reply; it quotes nothing."""
        last = json.dumps(body["messages"][-1]["content"])
        asker = [found[1] for found in CANARY.finditer(last)][-1]  # what is recalled stands before what is said
        self.leaked += {found[1] for found in CANARY.finditer(json.dumps(body["messages"]))} - {asker}
        self.recalled += "mneme-memory" in last
        return "Noted, it stands there. Is there anything else that you want me to know?"
