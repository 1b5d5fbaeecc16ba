"""Promise 7 at the level of bytes: after `forget` no file of the data directory holds anything of the user."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.memory.records import Scope
from gateway.memory.stores.edge import EdgeStore
from gateway.memory.stores.sqlite import Database, SqliteJournal, SqliteSessions
from tests.contracts.samples import ADA, BOB, DIMENSION, entry, memory, placed, query, trace, turn, vector

CANARY = "tweetytweety"
GONE, STAYS = Scope("acme", f"user {CANARY}"), Scope("acme", "user staying")


@dataclass
class Stores:
    """All of them in one directory."""

    memories: EdgeStore
    sessions: SqliteSessions
    journal: SqliteJournal

    async def tell(self, scope: Scope, word: str, number: int) -> None:
        """Something about everything, with the word in every field that takes one."""
        id = f"{word} {scope.user} {number}"
        await self.journal.append(turn(id, scope, session=word, user_text=f"{word} " * (number % 90), model=word))
        await self.memories.put([entry(memory(id, scope, word, text=word * 30, reply=word, seq=number), words="ab")])
        await self.sessions.place(scope, id, placed(id, id, word, session=word))
        await self.sessions.trace(trace(id, scope, id, id, word))


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Stores]:
    """The stores in `path`."""
    async with (
        Database.open(path / "mneme.db", durability="process") as database,
        EdgeStore.open(path / "memories", embedder_identity="test", dimension=DIMENSION) as memories,
    ):
        yield Stores(memories, SqliteSessions(database, trace_limit=1000), SqliteJournal(database))


def found(path: Path, word: str) -> list[str]:
    """The files that hold the word, in any of the encodings that the stores use."""
    forms = {word.encode(), word.encode().hex().encode()}
    files = [file for file in path.rglob("*") if file.is_file()]
    return sorted(file.name for file in files if any(form in file.read_bytes() for form in forms))


async def test_forget_leaves_no_byte_of_the_user(tmp_path: Path) -> None:
    """Between the records of another user, who keeps all of them; while the stores are open, and after."""
    async with opened(tmp_path) as stores:
        for number in range(60):
            await stores.tell(GONE, CANARY, number)
            await stores.tell(STAYS, "staying", number)
        await stores.journal.append(turn(f"{CANARY} 0", GONE, user_text=f"again {CANARY}" * 200))
        assert {"mneme.db-wal", "page_0.dat"} <= {*found(tmp_path, CANARY)}

        await stores.journal.forget(GONE)
        await stores.memories.forget(GONE)
        await stores.sessions.forget(GONE)

        assert found(tmp_path, CANARY) == []
        assert await stores.journal.count(STAYS) == 60
        assert await stores.sessions.count(STAYS) == 120
        assert len(await stores.memories.search(STAYS, query(vector(1), "a"), 100)) == 60
    assert found(tmp_path, CANARY) == []
    assert found(tmp_path, "staying")


async def test_deleted_memories_leave_with_the_next_stop(tmp_path: Path) -> None:
    """A deletion is seen at once; its bytes are gone once the store was closed."""
    async with opened(tmp_path) as stores:
        await stores.memories.put([entry(memory("gone", text=CANARY)), entry(memory("stays"))])
        await stores.memories.delete(ADA, ["gone"])
    assert found(tmp_path, CANARY) == []
    async with opened(tmp_path) as stores:
        assert await stores.memories.count(ADA) == 1


async def test_a_crash_between_deletion_and_rewrite_is_made_good(tmp_path: Path) -> None:
    """What was deleted before a crash leaves with the next forget, even of somebody who has nothing."""
    async with opened(tmp_path) as stores:
        await stores.memories.put([entry(memory("gone", text=CANARY)), entry(memory("stays"))])
        # What a crash leaves: deleted, and not rewritten.
        marked = tmp_path / "memories" / "deleted"
        await stores.memories.delete(ADA, ["gone"])
        assert marked.exists()
        assert await stores.memories.forget(BOB) == 0
        assert found(tmp_path, CANARY) == []
        assert not marked.exists()


async def test_a_placement_on_its_way_does_not_bring_erased_text_back(tmp_path: Path) -> None:
    """A request that had recalled a memory before it was erased places it bare; later ones are not touched."""
    clock = [0.0]
    async with Database.open(tmp_path / "mneme.db", durability="process") as database:
        sessions = SqliteSessions(database, trace_limit=10, clock=lambda: clock[0])
        await sessions.erase_turns(ADA, ["m"])
        await sessions.place(ADA, "at once", placed("t", "m", "n"))
        await sessions.place(ADA, "other", placed("t", "n"))
        await sessions.place(BOB, "bob's", placed("t", "m"))
        clock[0] += 60
        await sessions.place(ADA, "later", placed("t", "m"))

        assert await sessions.placed(ADA, ["at once", "other", "later"]) == {
            "at once": placed("t"),
            "other": placed("t", "n"),
            "later": placed("t", "m"),
        }
        assert await sessions.placed(BOB, ["bob's"]) == {"bob's": placed("t", "m")}


async def test_a_trace_told_again_does_not_bring_back_what_was_erased(tmp_path: Path) -> None:
    """The second telling comes after the answer, and a user may have been forgotten meanwhile."""
    async with Database.open(tmp_path / "mneme.db", durability="process") as database:
        sessions = SqliteSessions(database, trace_limit=10)
        await sessions.trace(trace("forgotten", ADA, "t1", "m"))
        await sessions.forget(ADA)
        await sessions.trace(trace("erased", ADA, "t2", "m", "n"))
        await sessions.erase_turns(ADA, ["m"])
        await sessions.trace(trace("forgotten", ADA, "t1", "m"))
        await sessions.trace(trace("erased", ADA, "t2", "m", "n"))

        (left,) = await sessions.traces(ADA)
        assert left.id == "erased"
        assert [hit.memory.id for hit in left.hits] == ["n"]
        assert left.injected == ""


async def test_a_read_that_began_before_an_erasure_is_not_cached(tmp_path: Path) -> None:
    """Whichever finishes first, later reads see the erasure."""
    async with Database.open(tmp_path / "mneme.db", durability="process") as database:
        sessions = SqliteSessions(database, trace_limit=10)
        for number in range(40):
            writer = SqliteSessions(database, trace_limit=10)
            await writer.place(ADA, "chain", placed("t", f"m{number}"))
            await writer.count(ADA)
            await asyncio.gather(sessions.placed(ADA, ["chain"]), sessions.erase_turns(ADA, [f"m{number}"]))

            assert (await sessions.placed(ADA, ["chain"]))["chain"].text == ""
