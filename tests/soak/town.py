"""Many users at once, at a steady pace, some of whom are forgotten while new ones come: what is remembered stays as
much as it is. Knows no process.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field

import httpx

from tests.soak.scenes import SCENES, Person, forgotten

_PATIENCE = httpx.Timeout(60.0)
_WEIGHTS = [*SCENES.values()]
_SCENES = [*SCENES]


@dataclass
class Town:
    """`seats` users at a time, `pace` scenes a second of all together, over these gateways in turn. One user is
    forgotten every `stay` seconds. `seen` counts scenes, `wrong` what should not have been."""

    name: str
    urls: Sequence[str]
    seats: int
    pace: float
    stay: float
    seen: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    _people: list[Person] = field(default_factory=list)
    _born: int = 0

    async def live(self, warm: float, until: float, rush: float) -> None:
        """Until that time of the monotonic clock; up to `warm`, `rush` times as fast."""
        self._people = [self._newcomer(seat) for seat in range(self.seats)]
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=self.seats)
        clients = [httpx.AsyncClient(base_url=url, timeout=_PATIENCE, limits=limits) for url in self.urls]
        async with asyncio.TaskGroup() as tasks:
            for seat in range(self.seats):
                tasks.create_task(self._sit(seat, clients, warm, until, rush))
            tasks.create_task(self._go(clients, until))
        for client in clients:
            await client.aclose()

    async def _sit(
        self, seat: int, clients: Sequence[httpx.AsyncClient], warm: float, until: float, rush: float
    ) -> None:
        dice = random.Random(f"{self.name} {seat}")
        pause = self.seats / self.pace
        await asyncio.sleep(dice.random() * pause / rush)
        while (began := time.monotonic()) < until:
            person, scene = self._people[seat], dice.choices(_SCENES, _WEIGHTS)[0]
            async with person.hand:
                await self._play(scene.__name__, scene(person, dice.choice(clients)))
            due = began + pause * (0.5 + dice.random()) / (rush if began < warm else 1.0)
            await asyncio.sleep(max(due - time.monotonic(), 0))

    async def _go(self, clients: Sequence[httpx.AsyncClient], until: float) -> None:
        """One after the other; their last words may still be on their way, so they wait a little before they go. What
        they are in the middle of they end first: whoever is forgotten in between has no note that could be deleted."""
        seat = 0
        while time.monotonic() + self.stay < until:
            leaving, self._people[seat] = self._people[seat], self._newcomer(seat)
            await asyncio.sleep(self.stay)
            async with leaving.hand:
                await self._play("forgotten", forgotten(leaving, clients[seat % len(clients)]))
            seat = (seat + 1) % self.seats

    async def _play(self, name: str, scene: Awaitable[str]) -> None:
        self.seen[name] += 1
        try:
            wrong = await scene
        except httpx.TransportError as failed:
            wrong = type(failed).__name__
        if wrong:
            self.wrong[f"{self.name}, {name}: {wrong}"] += 1

    def _newcomer(self, seat: int) -> Person:
        self._born += 1
        return Person(f"{self.name}-{self._born}", seat, random.Random(self._born))
