"""A fleet moves to another embedder under load, process by process: nothing is lost, nothing is there twice, and what
was told at any time is found at every time."""

import asyncio
import json
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from gateway.memory.records import Scope
from gateway.memory.stores.naming import suffixed
from gateway.memory.stores.qdrant import Layout
from tests.e2e.worker import Worker
from tests.prove.crowd import KEYS, TENANT, User
from tests.support.embeddings import DIMENSION, embedding_server
from tests.support.fleet import Fleet, running_fleet
from tests.support.gateway import ROOT
from tests.support.qdrant import store_on

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow, pytest.mark.timeout(900)]

NEW = suffixed("mneme", "http:hashed")
USERS, EARLIER = 4, 320
MENDED = "The green parcel of old-0 stands nowhere any more."


@dataclass
class Town:
    """A fleet, and users who speak to it until they are stopped."""

    fleet: Fleet
    url: str
    users: list[User] = field(default_factory=lambda: [User(f"moving-{n}", n) for n in range(USERS)])
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def gateways(self) -> list[str]:
        """Where they are."""
        return [gateway.url for gateway in self.fleet.gateways]

    @property
    def old_first(self) -> dict[str, str]:
        """Reads MiniLM's index, writes both."""
        return {
            "MNEME_NEXT_EMBEDDER": "http",
            "MNEME_NEXT_EMBEDDER_URL": self.url,
            "MNEME_NEXT_EMBEDDER_MODEL": "hashed",
        }

    @property
    def new_first(self) -> dict[str, str]:
        """Reads the new index, writes both."""
        return {**self.new_alone, "MNEME_NEXT_EMBEDDER": "minilm"}

    @property
    def new_alone(self) -> dict[str, str]:
        """The last step."""
        return {"MNEME_EMBEDDER": "http", "MNEME_EMBEDDER_URL": self.url, "MNEME_EMBEDDER_MODEL": "hashed"}

    async def speak(self, user: User) -> None:
        """One fact after the other."""
        async with httpx.AsyncClient(timeout=60) as client:
            while not self.stop.is_set():
                await user.tell(client, self.gateways)
                await asyncio.sleep(0.5)

    async def roll(self, knobs: Mapping[str, str]) -> None:
        """Restart every process with these knobs, one after the other."""
        for process in (*self.fleet.writers, *self.fleet.gateways):
            await process.close()
            kept = {name: value for name, value in process.env.items() if "EMBEDDER" not in name}
            process.env = {**kept, **knobs}
            await process.start()
            await self.all_found(2)

    async def all_found(self, each: int) -> None:
        """Some of what every user told is recalled, once, whichever gateway is asked."""
        dice = random.Random(7)
        async with httpx.AsyncClient(timeout=60) as client:
            for user in self.users:
                for fact in dice.sample(user.seen, min(each, len(user.seen))):
                    query = {"tenant": TENANT, "user": user.name}
                    body = {"model": "scripted", "messages": [{"role": "user", "content": f"Is it so? {fact}"}]}
                    url = dice.choice(self.gateways)
                    preview = (await client.post(f"{url}/admin/recall", params=query, json=body)).json()
                    assert preview["skipped"] == []
                    found = [hit["memory"]["text"] for hit in preview["hits"]]
                    assert found.count(fact) == 1, (fact, found)

    async def remembered(self, user: str) -> dict[str, list[str]]:
        """Ids of the user's memories, by text."""
        texts: dict[str, list[str]] = {}
        query = {"tenant": TENANT, "user": user, "limit": "200"}
        async with httpx.AsyncClient(base_url=self.gateways[0], timeout=60) as client:
            while True:
                page = (await client.get("/admin/memories", params=query)).raise_for_status().json()
                for memory in page["items"]:
                    texts.setdefault(memory["text"], []).append(memory["id"])
                if page["cursor"] is None:
                    return texts
                query["cursor"] = page["cursor"]

    async def filled(self) -> int:
        """How much of an earlier user's the new index holds."""
        async with store_on(self.fleet.qdrant.port, Layout(NEW), identity="http:hashed", dimension=DIMENSION) as store:
            return sum([await store.count(Scope(TENANT, f"old-{n}")) for n in range(3)])

    async def reembed(self, *words: str) -> asyncio.subprocess.Process:
        """`mneme reembed`, started beside the first gateway."""
        env = {**self.fleet.gateways[0].env, "MNEME_DATA": str(self.fleet.gateways[0].log.parent / "reembed")}
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", "reembed", *words),
            cwd=ROOT,
            env=env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )


@asynccontextmanager
async def spoken_to(town: Town) -> AsyncIterator[None]:
    """Everybody speaks meanwhile."""
    async with asyncio.TaskGroup() as tasks:
        for user in town.users:
            tasks.create_task(town.speak(user))
        try:
            yield
        finally:
            town.stop.set()


@pytest_asyncio.fixture(loop_scope="session")
async def town(the_worker: Worker, tmp_path: Path) -> AsyncIterator[Town]:
    """Three users of earlier days have told much, and nobody moves yet."""
    knobs = {"keys": KEYS, "recall_deadline": "20", "drain_seconds": "20"}
    async with embedding_server() as url, running_fleet(tmp_path, the_worker.url, **knobs) as fleet:
        town = Town(fleet, url)
        async with httpx.AsyncClient(base_url=town.gateways[0], timeout=120) as client:
            for number in range(3):
                lines = [
                    {"id": f"{number}-{seq}", "session": "s", "seq": seq, "text": f"Parcel {seq} of old-{number}."}
                    for seq in range(1, EARLIER + 1)
                ]
                whose = {"tenant": TENANT, "user": f"old-{number}"}
                told = "\n".join(json.dumps(line) for line in lines)
                assert (await client.post("/admin/import", params=whose, content=told)).json()["imported"] == EARLIER
        yield town


async def test_a_fleet_moves_under_load(town: Town, worker: Worker) -> None:
    """Rolling restarts; a backfill that is killed in its middle and begun again, with an edit, a deletion and a
    forgetting in between; no answer fails, every fact is found, and the former index can go."""
    async with spoken_to(town):
        await town.roll(town.old_first)

        first = await town.reembed()
        async with asyncio.timeout(120):
            while not await town.filled():
                await asyncio.sleep(0.02)
        first.kill()
        await first.wait()
        cut = await town.filled()
        second = await town.reembed()
        async with httpx.AsyncClient(base_url=town.gateways[1], timeout=120) as client:
            one = {"tenant": TENANT, "user": "old-0"}
            edited = await client.patch(
                "/admin/memories/0-7", params=one, json={"text": MENDED}, headers={"if-match": "*"}
            )
            deleted = await client.delete("/admin/memories/0-300", params=one)
            forgotten = await client.post("/admin/forget", params={"tenant": TENANT, "user": "old-1"})
        said = (await second.communicate())[0].decode()

        await town.all_found(3)
        await town.roll(town.new_first)
        await town.roll(town.new_alone)
        dropping = await town.reembed("--drop", "mneme")
        dropped = (await dropping.communicate())[0].decode()
        await town.all_found(3)
    await town.fleet.indexed()

    assert 0 < cut < 3 * EARLIER
    assert "Verified: both indexes agree" in said, said
    assert [answer.status_code for answer in (edited, deleted, forgotten)] == [200, 200, 200]
    assert forgotten.json()["remains"]["second_memories"] == 0
    assert dropped == "mneme is removed, with all that it held.\n"
    assert Counter(end for user in town.users for end in user.ends if end.isdigit()) == {}
    for user in town.users:
        texts = await town.remembered(user.name)
        assert user.unseen == []
        assert {len(ids) for ids in texts.values()} == {1}
        assert {*texts} == {*user.seen}
    left = await town.remembered("old-0")
    assert left[MENDED] == ["0-7"]
    assert len(left) == EARLIER - 1
    assert "Parcel 300 of old-0." not in left
    assert await town.remembered("old-1") == {}
    assert len(await town.remembered("old-2")) == EARLIER
