"""One damaged record costs nobody else anything: it is left out or shown as lost, and it can be erased."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from qdrant_edge import UpdateOperation

from gateway.errors import MemoryUnavailable
from gateway.memory.records import Trace, Usage
from gateway.memory.stores.codec import Codec
from gateway.memory.stores.edge import EdgeStore
from gateway.memory.stores.points import BODY, point_id
from gateway.memory.stores.sqlite import Database, SqliteJournal, SqliteSessions
from tests.contracts.samples import ADA, BOB, DIMENSION, entry, memory, placed, query, trace, turn, vector


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """An open one."""
    async with Database.open(tmp_path / "mneme.db", durability="process") as database:
        yield database


@pytest.fixture
async def memories(tmp_path: Path) -> AsyncIterator[EdgeStore]:
    """An open store with two memories side by side, of which "broken" is damaged."""
    async with EdgeStore.open(tmp_path / "memories", embedder_identity="test", dimension=DIMENSION) as memories:
        await memories.put([entry(memory(id, seq=seq), words="a") for seq, id in enumerate(("broken", "whole"), 1)])
        point = point_id(ADA, "broken")
        await memories._write(lambda shard: shard.update(UpdateOperation.set_payload([point], {BODY: "{"})), [ADA])
        yield memories


async def damage(database: Database, table: str, where: str = "1") -> None:
    """Overwrite the bodies."""
    await database.write(lambda c: c.execute(f"UPDATE {table} SET body = x'00' WHERE {where}"))


def test_a_damaged_record_is_named() -> None:
    """Bytes that were overwritten are no foreign error."""
    with pytest.raises(MemoryUnavailable, match="A stored trace is damaged"):
        Codec(Trace).decode(b"\0")


async def test_a_trace_from_before_usage_was_kept_is_whole(database: Database) -> None:
    """It tells none; all stores of traces share what reads them."""
    sessions = SqliteSessions(database, trace_limit=9)
    await sessions.trace(replace(trace("old", ADA), usage=Usage(40, 32, 7)))
    await database.write(lambda c: c.execute("UPDATE traces SET body = CAST(json_remove(body, '$.usage') AS BLOB)"))

    assert await sessions.find_trace("acme", "old") == trace("old", ADA)


async def test_a_damaged_turn_is_a_dead_letter_and_holds_up_nobody(database: Database) -> None:
    """Whose it is stays known; what it said is lost."""
    journal = SqliteJournal(database)
    for id, scope in (("broken", ADA), ("broken too", ADA), ("whole", BOB)):
        await journal.append(turn(id, scope))
    await damage(database, "turns", "id <> CAST('whole' AS BLOB)")

    assert [t.id for t in await journal.claim(2)] == ["whole"]

    letters = (await journal.dead()).items
    assert [(d.turn.id, d.turn.scope, d.turn.user_text) for d in letters] == [
        ("broken", ADA, ""),
        ("broken too", ADA, ""),
    ]
    assert {d.error for d in letters} == {"The stored turn is damaged; what it said is lost."}


async def test_a_damaged_turn_replayed_dies_again_and_told_again_is_healed(database: Database) -> None:
    """Replaying cannot bring back its text; telling it can."""
    journal = SqliteJournal(database)
    await journal.append(turn("t"))
    await damage(database, "turns")
    await journal.claim(1)

    assert await journal.replay([]) == 1
    assert await journal.claim(1) == []
    assert (await journal.lag()).dead == 1
    seq = await journal.append(turn("t"))
    assert await journal.claim(1) == [turn("t", seq=seq)]


async def test_a_damaged_turn_can_be_shown_and_erased(database: Database) -> None:
    """Recall goes on without it; evidence shows that it was there."""
    journal = SqliteJournal(database)
    await journal.append(turn("broken"))
    await damage(database, "turns")
    seq = await journal.append(turn("whole"))

    assert await journal.pending(ADA) == [turn("whole", seq=seq)]
    assert [t.user_text for t in await journal.turns(ADA, ["broken", "whole"])] == ["", "text of whole"]
    assert await journal.erase(ADA, ["broken"]) == 1
    assert [t.id for t in await journal.claim(10)] == ["whole"]


async def test_a_damaged_placement_is_unknown_and_leaves_with_any_erasure(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody knows what text it holds, so it may hold what is erased."""
    sessions = SqliteSessions(database, trace_limit=10)
    await sessions.place(ADA, "broken", placed("t1", "m"))
    await damage(database, "placements")
    await sessions.place(ADA, "whole", placed("t2", "m", at=2.0))
    assert await sessions.count(ADA) == 2
    fresh = SqliteSessions(database, trace_limit=10)

    assert await fresh.placed(ADA, ["broken", "whole"]) == {"whole": placed("t2", "m", at=2.0)}
    assert (await fresh.placements(ADA, "s")).items == (placed("t2", "m", at=2.0),)
    assert "A stored placed is damaged" in caplog.text
    await fresh.erase_turns(ADA, ["another"])
    assert await fresh.count(ADA) == 1


async def test_a_damaged_trace_is_left_out_and_leaves_with_any_erasure(database: Database) -> None:
    """As a placement."""
    sessions = SqliteSessions(database, trace_limit=10)
    await sessions.trace(trace("broken"))
    await sessions.count(ADA)
    await damage(database, "traces")
    await sessions.trace(trace("whole", ADA, "t2"))

    assert await sessions.traces(ADA) == [trace("whole", ADA, "t2")]
    await sessions.erase_turns(ADA, ["another"])
    assert await sessions.count(ADA) == 1


async def test_a_damaged_memory_is_left_out_and_logged(memories: EdgeStore, caplog: pytest.LogCaptureFixture) -> None:
    """Of searches, pages, reads and neighbourhoods."""
    found = await memories.search(ADA, query(vector(1), "a"), 5)

    assert [c.memory.id for c in found] == ["whole"]
    assert [m.id for m in (await memories.browse(ADA)).items] == ["whole"]
    assert [m.id for m in await memories.get(ADA, ["broken", "whole"])] == ["whole"]
    assert [m.id for m in await memories.neighbours(ADA, "s", 1, 2, 1)] == ["whole"]
    assert "A stored memory is damaged. It is left out." in caplog.text


async def test_a_damaged_memory_can_be_deleted(memories: EdgeStore) -> None:
    """By its id."""
    assert await memories.delete(ADA, ["broken"]) == 1
    assert await memories.count(ADA) == 1
