"""One scenario after the other over one fleet: the crowd speaks, harm is done and undone, and then it is counted what
is remembered. Knows no harm."""

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx

from tests.e2e.worker import Worker
from tests.prove.crowd import CANARY, KEYS, TENANT, WHOLE, Crowd, Listener, User
from tests.prove.scenarios import SCENARIOS, Scenario
from tests.prove.table import Row
from tests.support.fleet import Fleet, running_fleet
from tests.support.upstream import scripted_upstream

# Of a scenario's time: quiet before the harm, and the harm; the rest is for what comes after it.
_BEFORE, _HARM = 0.25, 0.3
_FRESH = 2.0  # seconds for which a turn may wait while all is well
_RECOVERY = 150.0


async def prove(names: Sequence[str], users: int, seconds: float, rate: float, say: Callable[[str], None]) -> list[Row]:
    """A row per scenario."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="mneme-prove-") as folder:
        async with scripted_upstream() as upstream:
            worker = Worker(upstream)
            knobs = {"keys": KEYS, "recall_deadline": "1", "drain_seconds": "20"}
            say("starting two gateways, two writers, Redis and the store …")
            async with running_fleet(Path(folder), worker.url, **knobs) as fleet:
                for number, name in enumerate(names):
                    say(f"{SCENARIOS[name].title} …")
                    crowd = Crowd.of(number, users, rate)
                    rows.append(await _one(SCENARIOS[name], fleet, worker, crowd, seconds))
    return rows


async def _one(scenario: Scenario, fleet: Fleet, worker: Worker, crowd: Crowd, seconds: float) -> Row:
    listener = Listener()
    worker.says = listener
    worker.upstream.received.clear()
    gateways = [gateway.url for gateway in fleet.gateways]
    async with asyncio.TaskGroup() as tasks:
        speaking = tasks.create_task(crowd.speak(gateways, seconds))
        await asyncio.sleep(seconds * _BEFORE)
        began = time.monotonic()
        await scenario.act(fleet, worker, seconds * _HARM)
        harmed, recovering = time.monotonic() - began, time.monotonic()
        await _caught_up(gateways[0], lambda lag: lag["oldest"] < _FRESH)
        recovered = time.monotonic() - recovering
        await speaking
    await _caught_up(gateways[0], lambda lag: lag["pending"] == 0)
    ends = sum((user.ends for user in crowd.users), Counter[str]())
    failures = {end: number for end, number in ends.items() if end != WHOLE}
    lost, twice, leaked = await _missing(gateways[0], crowd.users)
    return Row(
        title=scenario.title,
        turns=sum(len(user.seen) for user in crowd.users),
        lost=lost,
        twice=twice,
        failed=sum(number for end, number in failures.items() if end not in scenario.excused),
        leaked=leaked + len(listener.leaked),
        excused=sum(number for end, number in failures.items() if end in scenario.excused),
        recalled=listener.recalled,
        slowest=max(seconds for user in crowd.users for seconds in (*user.took, 0.0)),
        harmed=harmed,
        recovered=recovered,
    )


async def _caught_up(gateway: str, enough: Callable[[dict[str, float]], bool]) -> None:
    async with httpx.AsyncClient(base_url=gateway, timeout=10) as client, asyncio.timeout(_RECOVERY):
        while True:
            try:
                told = await client.get("/admin/journal")
            except httpx.TransportError:
                told = httpx.Response(503)
            if told.status_code == 200 and enough(told.json()):
                return
            await asyncio.sleep(0.1)


async def _missing(gateway: str, users: Sequence[User]) -> tuple[int, int, int]:
    """Acknowledged facts that are not remembered, facts that are remembered twice, and facts of others."""
    lost = twice = leaked = 0
    async with httpx.AsyncClient(base_url=gateway, timeout=30) as client:
        for user in users:
            texts = await _remembered(client, user.name)
            lost += sum(text not in texts for text in user.seen)
            twice += sum(number > 1 for number in texts.values())
            leaked += sum(found[1] != user.name for text in texts for found in CANARY.finditer(text))
    return lost, twice, leaked


async def _remembered(client: httpx.AsyncClient, user: str) -> Counter[str]:
    texts: Counter[str] = Counter()
    query = {"tenant": TENANT, "user": user, "limit": "200"}
    while True:
        page = (await client.get("/admin/memories", params=query)).raise_for_status().json()
        texts.update(memory["text"] for memory in page["items"])
        if page["cursor"] is None:
            return texts
        query["cursor"] = page["cursor"]
