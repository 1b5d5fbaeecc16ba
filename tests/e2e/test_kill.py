"""Promise 3: kill -9 at any moment. Every turn whose end the client saw is there after a restart, and none twice."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import openai
import pytest
from openai import AsyncOpenAI

from gateway.memory.records import Scope
from tests.e2e.sdk import sdk, tell
from tests.e2e.worker import MODEL, Worker
from tests.support.gateway import Running, running_gateway, spawned_gateway

pytestmark = pytest.mark.asyncio(loop_scope="session")

USERS = ("ada", "olaf", "noor")
TURNS, KILLS = 200, 6


class Talker:
    """One user who tells one thing after another, streamed and not, over as many lives of the gateway as it takes."""

    def __init__(self, user: str, turns: int) -> None:
        self.user = user
        self.left = [f"Parcel {number * 7919 % 9973} of {user} stands on shelf {number}." for number in range(turns)]
        self.seen: list[str] = []
        self.unseen: list[str] = []

    async def talk(self, url: str) -> None:
        """Until all is told or the gateway has gone."""
        async with sdk(f"{url}/v1", x_mneme_user=self.user) as client:
            while self.left:
                text = self.left.pop()
                self.unseen.append(text)
                try:
                    await self._tell(client, text)
                except openai.APIError:
                    return
                self.seen.append(self.unseen.pop())

    async def _tell(self, client: AsyncOpenAI, text: str) -> None:
        if len(self.left) % 2:
            await tell(client, text)
            return
        stream = await client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": text}], stream=True
        )
        async for _ in stream:
            pass


@asynccontextmanager
async def reopened(data: Path, worker: Worker) -> AsyncIterator[Running]:
    """The gateway once more, all that was left to index indexed."""
    async with running_gateway(data, worker.url) as gateway:
        async with asyncio.timeout(60):
            while (await gateway.services.journal.lag()).pending:
                await asyncio.sleep(0.05)
        yield gateway


async def remembered(gateway: Running, user: str) -> Counter[str]:
    """How often each text stands among the user's memories."""
    scope, texts, cursor = Scope("local", user), Counter[str](), None
    while True:
        page = await gateway.services.memories.browse(scope, cursor=cursor, limit=100)
        texts.update(memory.text for memory in page.items)
        cursor = page.cursor
        if cursor is None:
            return texts


async def assert_all_there(gateway: Running, talkers: list[Talker]) -> None:
    """What was seen is there once; what was not seen is there at most once; nothing else is there."""
    for talker in talkers:
        texts = await remembered(gateway, talker.user)

        assert [text for text in talker.seen if texts[text] != 1] == []
        assert max(texts.values()) == 1
        assert set(texts) <= {*talker.seen, *talker.unseen}


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_kill_at_random_points_loses_nothing(worker: Worker, tmp_path: Path) -> None:
    """Two hundred turns of three users, whole and streamed, over six kills at random moments."""
    dice = random.Random(2)
    talkers = [Talker(user, -(-TURNS // len(USERS))) for user in USERS]
    for life in range(KILLS + 1):
        async with spawned_gateway(tmp_path, upstream=worker.url, recall_deadline="2") as gateway:
            talking = [asyncio.create_task(talker.talk(gateway.url)) for talker in talkers]
            if life < KILLS:
                goal = sum(len(t.seen) for t in talkers) + dice.randrange(5, TURNS // KILLS)
                while sum(len(t.seen) for t in talkers) < goal and not all(task.done() for task in talking):
                    await asyncio.sleep(dice.random() / 100)
                gateway.kill()
            await asyncio.gather(*talking)
    async with reopened(tmp_path, worker) as last:
        await assert_all_there(last, talkers)
        async with sdk(f"{last.url}/v1", x_mneme_user=USERS[0]) as client:
            for text in talkers[0].seen[::20]:
                await tell(client, f"Where does {text.split(' stands')[0]} stand?")

                assert text in worker.prompts[-1]

    assert sum(len(t.seen) + len(t.unseen) for t in talkers) >= TURNS
    assert 1 <= sum(len(t.unseen) for t in talkers) <= KILLS * len(USERS)


async def indexed_so_far(url: str) -> tuple[int, int]:
    """How many turns the writer has indexed, and how many still wait."""
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"{url}/metrics")).text
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return int(float(values.get('mneme_indexed_total{result="indexed"}', 0))), int(
        float(values["mneme_journal_pending"])
    )


@pytest.mark.slow
async def test_a_kill_during_indexing_loses_nothing(worker: Worker, tmp_path: Path) -> None:
    """Killed while some turns are indexed and others wait: each is there once."""
    talker = Talker("ada", 60)
    async with spawned_gateway(tmp_path, upstream=worker.url) as gateway:
        talking = asyncio.create_task(talker.talk(gateway.url))
        indexed = pending = 0
        async with asyncio.timeout(30):
            while not (indexed and pending):
                indexed, pending = await indexed_so_far(gateway.url)
        gateway.kill()
        await talking
    async with reopened(tmp_path, worker) as last:
        await assert_all_there(last, [talker])

    assert len(talker.seen) >= indexed


@pytest.mark.slow
async def test_sigterm_loses_nothing(worker: Worker, tmp_path: Path) -> None:
    """Told to stop while twelve streams run: they end as they should, all is indexed, and the exit status is 0."""
    worker.pause = 0.02
    worker.says = lambda body: "Word by word. " * 20
    talkers = [Talker(f"user-{number}", 1) for number in range(12)]
    async with spawned_gateway(tmp_path, upstream=worker.url) as gateway:
        talking = [asyncio.create_task(talker.talk(gateway.url)) for talker in talkers]
        while len(worker.bodies) < len(talkers):
            await asyncio.sleep(0.01)
        gateway.stop()
        await asyncio.gather(*talking)
        status = await asyncio.wait_for(gateway.process.wait(), 40)
    async with running_gateway(tmp_path, worker.url) as last:
        lag = await last.services.journal.lag()
        await assert_all_there(last, talkers)

    assert status == 0
    assert (lag.pending, lag.dead) == (0, 0)
    assert all(len(talker.seen) == 1 for talker in talkers)
