"""What was said longer ago than its tenant keeps it is gone: over real stores, embedded and shared, by a made clock."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from gateway.memory.curate import Curator
from gateway.memory.expiry import Expiry
from gateway.memory.policies.none import Nothing
from gateway.memory.policies.verbatim import Verbatim
from gateway.memory.records import Memory, Placed, Scope, Turn
from gateway.memory.stores.edge import EdgeStore
from gateway.memory.stores.redis import Connection, RedisJournal, RedisSessions
from gateway.memory.stores.sqlite import Database, SqliteJournal, SqliteSessions
from gateway.tenants.ports import Registry
from gateway.tenants.records import Retention, Tenant
from gateway.tenants.stores.redis import RedisRegistry
from gateway.tenants.stores.sqlite import SqliteRegistry
from gateway.tenants.sweep import Sweeper
from tests.contracts.samples import ADA, BOB, placed, query, trace
from tests.support.embeddings import DIMENSION
from tests.support.model import Clock
from tests.support.planner import unthinking
from tests.support.qdrant import wire_store
from tests.support.redis_server import shared
from tests.unit.stores.house import Words

DAY = 86_400.0
NOW = 1000 * DAY


@dataclass
class Room:
    """A curator over real stores, and a sweeper of its own."""

    curator: Curator
    registry: Registry
    clock: Clock
    gone: Counter[str] = field(default_factory=Counter)

    def sweeper(self, **pace: float) -> Sweeper:
        """It counts into `gone`."""
        return Sweeper(self.registry, Expiry(self.curator), self._count, self.clock, **pace)

    async def keep(self, days: int = 0, traces: int = 0, tenant: str = "acme") -> None:
        """From now on, so long."""
        await self.registry.keep_tenant(Tenant(tenant, retention=Retention(days, traces)))

    async def say(self, text: str, days_ago: float, scope: Scope = ADA, session: str = "s") -> Turn:
        """A turn as a gateway leaves it: journalled, placed, traced; not indexed."""
        id, at = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{scope} {session} {text}")), self.clock.now - days_ago * DAY
        told = Turn(id, scope, session, f"chain {text}", at, text, "Noted.")
        await self.curator.sessions.place(scope, told.chain, placed(id, session=session, at=at))
        await self.curator.sessions.trace(
            replace(trace(f"trace {id}", scope, id, session=session), at=at, question=text)
        )
        return replace(told, seq=await self.curator.journal.append(told))

    async def index(self) -> None:
        """All that is due."""
        while await self.curator.index(100):
            pass

    async def remembered(self, scope: Scope = ADA) -> list[str]:
        """In the order of their times."""
        page = await self.curator.memories.browse(scope, limit=1000)
        return [m.text for m in sorted(page.items, key=lambda m: (m.at, m.text))]

    async def journalled(self, scope: Scope = ADA) -> list[str]:
        """In order."""
        return [k.turn.user_text for k in (await self.curator.journal.kept(scope, limit=1000)).items]

    def _count(self, what: str, n: int) -> None:
        self.gone[what] += n


@asynccontextmanager
async def embedded(path: Path, clock: Clock, policy: Any) -> AsyncIterator[Room]:
    """SQLite and Qdrant Edge."""
    async with (
        Database.open(path / "mneme.db", durability="process") as database,
        EdgeStore.open(path / "memories", embedder_identity="words", dimension=DIMENSION) as memories,
    ):
        sessions, journal = SqliteSessions(database, trace_limit=1000), SqliteJournal(database, clock)
        curator = Curator(memories, sessions, journal, Words(), policy, clock, unthinking())
        yield Room(curator, SqliteRegistry(database), clock)


@asynccontextmanager
async def fleet(path: Path, clock: Clock, policy: Any) -> AsyncIterator[Room]:
    """Redis, and a server that is asked over the wire."""
    async with (
        Connection.open(shared().url, durability="process", prefix=str(path)) as connection,
        RedisJournal.open(connection, clock=clock) as journal,
        wire_store(path / "qdrant", dimension=DIMENSION) as memories,
    ):
        sessions = RedisSessions(connection, trace_limit=1000)
        curator = Curator(memories, sessions, journal, Words(), policy, clock, unthinking())
        yield Room(curator, RedisRegistry(connection), clock)


Opening = Callable[..., Any]


@pytest.fixture(params=[embedded, fleet], ids=["embedded", "fleet"])
def opening(request: pytest.FixtureRequest) -> Opening:
    """Which stores."""
    found: Opening = request.param
    return found


@pytest.fixture
async def room(opening: Opening, tmp_path: Path) -> AsyncIterator[Room]:
    """By the default policy."""
    async with opening(tmp_path, Clock(NOW), Verbatim()) as opened:
        yield opened


async def test_what_was_said_too_long_ago_goes_with_every_copy(room: Room) -> None:
    """Memory, evidence, placement, trace; what is younger stays, and so does everything of another tenant."""
    await room.keep(days=30)
    other = Scope("globex", "ada")
    for scope in (ADA, other):
        for text, ago in {"I keep bees": 31, "I sold the hive": 30.5, "I have a cat": 29, "It is grey": 1}.items():
            await room.say(text, ago, scope)
    await room.index()

    await room.sweeper().sweep()

    assert await room.remembered() == await room.journalled() == ["I have a cat", "It is grey"]
    assert [t.question for t in await room.curator.sessions.traces(ADA)] == ["It is grey", "I have a cat"]
    assert len(await room.curator.sessions.placed(ADA, ["chain I keep bees", "chain It is grey"])) == 1
    assert len(await room.remembered(other)) == len(await room.journalled(other)) == 4
    assert room.gone == {"memories": 2, "turns": 2, "records": 4}


async def test_what_stays_is_as_if_the_rest_had_never_been(room: Room) -> None:
    """Its neighbourhood holds no word of what went; and a later turn that was told of it is not told again."""
    await room.keep(days=30)
    old = await room.say("zebra", 31)
    young = await room.say("apple", 2)
    await room.index()
    told = Placed("s", young.id, "zebra", (old.id,), room.clock.now - 2 * DAY)
    await room.curator.sessions.place(ADA, young.chain, told)

    await room.sweeper().sweep()

    words = Words()
    (zebra,) = await words.embed(["zebra"])
    found = await room.curator.memories.search(ADA, query(zebra), 10)
    assert [(c.memory.text, c.signals["dense_near"] < 0.1) for c in found] == [("apple", True)]
    assert (await room.curator.sessions.placed(ADA, [young.chain]))[young.chain].text == ""


async def test_what_waits_to_be_indexed_does_not_expire(room: Room) -> None:
    """However old it is, and though its first telling was indexed; once it is indexed and old, it does."""
    await room.keep(days=30)
    await room.say("dead", 400, session="t")
    for turn in await room.curator.journal.claim(10):
        await room.curator.journal.fail(turn, "why", attempts=1, delay=0)
    again = await room.say("told again", 400, session="u")
    await room.index()
    await room.curator.journal.append(again)
    await room.say("waits", 400)

    await room.sweeper().sweep()

    assert sorted(await room.journalled()) == ["dead", "told again", "waits"]
    assert await room.remembered() == ["told again"]
    await room.index()
    await room.sweeper().sweep()
    assert (await room.journalled(), await room.remembered()) == (["dead"], [])


async def test_what_is_pinned_or_noted_stays(room: Room) -> None:
    """The pinned with its evidence; when it is no longer pinned, it goes."""
    await room.keep(days=30)
    told = await room.say("pinned", 100)
    await room.say("not pinned", 100)
    await room.index()
    note = Memory("note", ADA, "", "noted", kind="note", trust="operator", at=room.clock.now - 100 * DAY)
    await room.curator.add([note])
    await room.curator.edit(ADA, told.id, lambda memory: replace(memory, pinned=True))

    await room.sweeper().sweep()

    assert await room.remembered() == ["noted", "pinned"]
    assert await room.journalled() == ["pinned"]
    await room.curator.edit(ADA, told.id, lambda memory: replace(memory, pinned=False))
    await room.sweeper().sweep()
    assert (await room.remembered(), await room.journalled()) == (["noted"], [])


async def test_turns_that_gave_no_memory_go_too(opening: Opening, tmp_path: Path) -> None:
    """A policy that keeps nothing leaves evidence all the same."""
    async with opening(tmp_path, Clock(NOW), Nothing()) as room:
        await room.keep(days=30)
        await room.say("old", 31)
        await room.say("young", 29)
        await room.index()

        await room.sweeper().sweep()

        assert await room.journalled() == ["young"]


async def test_traces_may_go_before_memories(room: Room) -> None:
    """Placements and traces by their own number of days; nobody is missed who has nothing else."""
    await room.keep(traces=7)
    for scope in (ADA, BOB):
        await room.say("old", 8, scope)
        await room.say("young", 6, scope)
    await room.index()
    await room.curator.journal.erase(BOB, [k.turn.id for k in (await room.curator.journal.kept(BOB)).items])
    await room.curator.memories.forget(BOB)

    await room.sweeper().sweep()

    for scope in (ADA, BOB):
        assert [t.question for t in await room.curator.sessions.traces(scope)] == ["young"]
        assert [*await room.curator.sessions.placed(scope, ["chain old", "chain young"])] == ["chain young"]
    assert len(await room.remembered()) == len(await room.journalled()) == 2


async def test_without_a_retention_nothing_expires(room: Room) -> None:
    """It is for ever unless somebody says how long."""
    await room.keep()
    await room.say("old", 999)
    await room.index()

    await room.sweeper().sweep()

    assert await room.remembered() == await room.journalled() == ["old"]
    assert not room.gone


async def test_a_long_past_goes_at_once(room: Room) -> None:
    """Many sessions, and many turns in one; nothing that goes is embedded again."""
    await room.keep(days=30)
    for number in range(450):
        await room.say(f"turn {number}", 100 - number / 10)
    for number in range(30):
        await room.say(f"alone {number}", 60, session=f"session {number}")
    await room.say("young", 1)
    await room.index()
    words: Any = room.curator.embedder
    words.asked.clear()

    await room.sweeper().sweep()

    assert await room.remembered() == await room.journalled() == ["young"]
    assert room.gone["memories"] == room.gone["turns"] == 480
    assert {*words.asked} == {"young"}


async def test_sweeps_beside_each_other_and_beside_indexing_do_no_harm(room: Room) -> None:
    """Everything young is remembered once, everything old is gone."""
    await room.keep(days=30)
    users = [Scope("acme", f"user {number}") for number in range(6)]
    for number in range(60):
        await room.say(f"old {number}", 40, users[number % 6])

    async def speak() -> None:
        for number in range(60):
            await room.say(f"young {number}", 1, users[number % 6])
            await room.index()

    sweeper = room.sweeper()
    await asyncio.gather(speak(), sweeper.sweep(), sweeper.sweep())
    await sweeper.sweep()

    for place, user in enumerate(users):
        assert sorted(await room.remembered(user)) == sorted(f"young {n}" for n in range(60) if n % 6 == place)
        assert sorted(await room.journalled(user)) == sorted(await room.remembered(user))


async def test_a_sweeper_waits_and_goes_on(room: Room) -> None:
    """The first sweep soon, the next after a while; what became too old in between is gone then."""
    await room.keep(days=30)
    await room.say("a", 29.5)
    await room.say("b", 28.5)
    await room.index()
    sweeping = asyncio.create_task(room.sweeper(first=0.01, every=0.02).run())

    async def until(left: list[str]) -> None:
        async with asyncio.timeout(10):
            while await room.remembered() != left:
                await asyncio.sleep(0.01)

    await asyncio.sleep(0.1)
    assert await room.remembered() == ["a", "b"]
    room.clock.now += DAY
    await until(["b"])
    room.clock.now += DAY
    await until([])
    sweeping.cancel()
    await asyncio.wait({sweeping})


async def test_a_store_that_is_away_ends_a_sweep_and_not_the_sweeper(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says so, without a word of anybody; when it is back, the next sweep does it all."""
    await room.keep(days=30)
    await room.say("my secret", 31)
    await room.say("young", 1)
    await room.index()
    words: Any = room.curator.embedder
    words.away = True
    sweeping = asyncio.create_task(room.sweeper(first=0.0, every=0.02).run())
    async with asyncio.timeout(10):
        while "what is too old stays for now" not in caplog.text:
            await asyncio.sleep(0.01)
    assert "my secret" in await room.remembered()
    words.away = False
    async with asyncio.timeout(10):
        while await room.remembered() != ["young"]:
            await asyncio.sleep(0.01)
    sweeping.cancel()
    await asyncio.wait({sweeping})

    assert "secret" not in caplog.text
    assert await room.journalled() == ["young"]
