"""The SQLite file's own rules: commits in groups, a bounded queue, and a thread that nothing ends."""

import asyncio
import logging
import random
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from gateway.errors import MemoryUnavailable
from gateway.memory.records import Scope
from gateway.memory.stores.sqlite import Database, SqliteJournal, SqliteSessions
from tests.contracts.samples import ADA, placed, trace, turn


@asynccontextmanager
async def stalled(database: Database) -> AsyncIterator[None]:
    """The disk does not answer until the end of the block."""
    stalls, go_on = threading.Event(), threading.Event()

    def job(_: sqlite3.Connection) -> None:
        stalls.set()
        go_on.wait(60)

    waiting = asyncio.create_task(database.write(job))
    await asyncio.to_thread(stalls.wait, 60)
    try:
        yield
    finally:
        go_on.set()
        await waiting


def raising(error: Exception) -> Callable[[sqlite3.Connection], None]:
    """A job that fails."""

    def job(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM turns")
        raise error

    return job


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """An open one."""
    async with Database.open(tmp_path / "mneme.db", durability="process") as database:
        yield database


async def test_turns_that_end_together_share_a_commit(database: Database) -> None:
    """A hundred appends behind a stalled one cost one more commit."""
    journal = SqliteJournal(database)
    before = database.commits
    async with stalled(database):
        appends = asyncio.gather(*(journal.append(turn(str(number))) for number in range(100)))
        while database.queued < 101:
            await asyncio.sleep(0)
    await appends

    assert database.commits - before == 2
    assert await journal.count(ADA) == 100


@pytest.mark.parametrize("error", [ValueError("no"), KeyError("no"), sqlite3.OperationalError("no"), LookupError()])
async def test_one_failing_job_takes_no_other_with_it(database: Database, error: Exception) -> None:
    """Its own changes are undone, those of the same commit are kept, and the next ones work."""
    journal = SqliteJournal(database)
    async with stalled(database):
        jobs = (journal.append(turn("before")), database.write(raising(error)), journal.append(turn("after")))
        results = asyncio.gather(*jobs, return_exceptions=True)
        while database.queued < 4:
            await asyncio.sleep(0)
    _, failed, _ = await results

    assert isinstance(failed, MemoryUnavailable)
    assert [t.id for t in await journal.claim(10)] == ["before", "after"]


async def test_a_failed_commit_fails_all_its_jobs(tmp_path: Path) -> None:
    """Nobody is told that something is durable which is not."""
    async with Database.open(tmp_path / "mneme.db", durability="process") as database:
        journal = SqliteJournal(database)

        def spoil(connection: sqlite3.Connection) -> None:
            connection.execute("ROLLBACK")

        async with stalled(database):
            results = asyncio.gather(
                journal.append(turn("a")), database.write(spoil), journal.append(turn("b")), return_exceptions=True
            )
            while database.queued < 4:
                await asyncio.sleep(0)
        assert all(isinstance(result, MemoryUnavailable) for result in await results)
        await journal.append(turn("c"))
        assert [t.id for t in await journal.claim(10)] == ["c"]


@pytest.mark.parametrize("durability,synchronous", [("process", 1), ("power", 2)])
async def test_durability_is_what_was_configured(
    tmp_path: Path, durability: Literal["process", "power"], synchronous: int
) -> None:
    """NORMAL survives the process, FULL also the power; always with a write-ahead log and overwritten deletions."""
    async with Database.open(tmp_path / "mneme.db", durability=durability) as database:

        def pragmas(connection: sqlite3.Connection) -> list[Any]:
            names = ("synchronous", "journal_mode", "secure_delete")
            return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

        assert await database.write(pragmas) == [synchronous, "wal", 1]


async def test_a_full_queue_refuses_after_a_moment(tmp_path: Path) -> None:
    """A turn waits for room, but not for ever; once the disk is back there is room again."""
    async with Database.open(tmp_path / "mneme.db", durability="process", limit=4) as database:
        journal = SqliteJournal(database)
        async with stalled(database):
            results = asyncio.gather(*(journal.append(turn(str(n))) for n in range(5)), return_exceptions=True)
            while not results.done() and database.queued < 4:
                await asyncio.sleep(0)
            sessions = SqliteSessions(database, trace_limit=10)
            with pytest.raises(MemoryUnavailable, match="queue is full"):
                await sessions.place(ADA, "chain", placed("t"))
            assert database.queued == 4
        found = await results

        assert [type(result) for result in found].count(MemoryUnavailable) == 2
        assert await journal.count(ADA) == 3


async def test_placements_do_not_wait_for_the_disk(database: Database) -> None:
    """They are queued, seen at once, and written in order."""
    sessions = SqliteSessions(database, trace_limit=10)
    async with stalled(database):
        await sessions.place(ADA, "chain", placed("t"))
        assert await sessions.placed(ADA, ["chain"]) == {"chain": placed("t")}
    assert await sessions.count(ADA) == 1


async def test_traces_are_dropped_when_the_disk_does_not_keep_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """They never take the room that turns need; it is logged once, not once each."""
    async with Database.open(tmp_path / "mneme.db", durability="process", limit=8) as database:
        sessions = SqliteSessions(database, trace_limit=100)
        journal = SqliteJournal(database)
        with caplog.at_level(logging.WARNING):
            async with stalled(database):
                for number in range(20):
                    await sessions.trace(trace(str(number)))
                appended = asyncio.create_task(journal.append(turn("t")))
                while database.queued != 5:
                    await asyncio.sleep(0)
            await appended

        assert [t.id for t in await sessions.traces(ADA)] == ["2", "1", "0"]
        assert len([record for record in caplog.records if "traces dropped" in record.message]) == 1


async def test_a_caller_that_gives_up_leaves_its_turn_in_the_queue(database: Database) -> None:
    """Past the deadline the append goes on: the answer ends, the turn is still written."""
    journal = SqliteJournal(database)
    async with stalled(database):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await journal.append(turn("t"))

    assert await journal.count(ADA) == 1


async def test_what_is_queued_at_the_end_is_written(tmp_path: Path) -> None:
    """Closing drains the queue."""
    async with Database.open(tmp_path / "mneme.db", durability="process") as database:
        sessions = SqliteSessions(database, trace_limit=1000)
        for number in range(500):
            await sessions.place(ADA, str(number), placed(str(number)))
    async with Database.open(tmp_path / "mneme.db", durability="process") as database:
        assert await SqliteSessions(database, trace_limit=1000).count(ADA) == 500


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Somebody else holds the write lock until the end of the block."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


async def test_a_foreign_lock_delays_writes_and_loses_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """However many tries it takes, and in order; who waits for one may give up meanwhile."""
    path = tmp_path / "mneme.db"
    async with Database.open(path, durability="process", patience=0.01) as database:
        journal = SqliteJournal(database)
        with locked(path):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):  # many tries
                    await journal.append(turn("a"))
            appends = asyncio.gather(*(journal.append(turn(id)) for id in "bc"))
            while database.queued < 3:
                await asyncio.sleep(0)
        numbers = await appends

        assert numbers == sorted(numbers)
        assert [t.id for t in await journal.claim(10)] == ["a", "b", "c"]
        assert "another process has locked the database" in caplog.text


async def test_closing_gives_up_what_is_locked_out_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """After a bounded time; also for a write whose caller has gone."""
    path = tmp_path / "mneme.db"
    with ExitStack() as others:
        async with Database.open(path, durability="process", patience=0.05) as database:
            others.enter_context(locked(path))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await SqliteJournal(database).append(turn("a"))
            waiting = asyncio.create_task(SqliteJournal(database).append(turn("b")))
            await asyncio.sleep(0)
        with pytest.raises(MemoryUnavailable, match="locked"):
            await waiting

    assert "nobody waited for any more failed: database is locked" in caplog.text


async def test_a_disk_that_cannot_be_written_fails_at_once(database: Database) -> None:
    """No lock, so no waiting for its end."""
    await database.write(lambda c: c.execute("PRAGMA query_only=ON"))

    with pytest.raises(MemoryUnavailable, match="readonly"):
        await SqliteJournal(database).append(turn("t"))


async def test_what_is_erased_while_a_placement_waits_for_room_is_not_placed(tmp_path: Path) -> None:
    """The queue is full when it comes; when there is room, what it rendered is gone. Its turn stays known."""
    async with Database.open(tmp_path / "mneme.db", durability="process", limit=1) as database:
        sessions = SqliteSessions(database, trace_limit=10)
        async with stalled(database):
            placing = asyncio.create_task(sessions.place(ADA, "chain", placed("t", "gone")))
            await asyncio.sleep(0)
            erasing = asyncio.create_task(sessions.erase_turns(ADA, ["gone"]))
            await asyncio.sleep(0)
        await asyncio.gather(placing, erasing)

        for store in (sessions, SqliteSessions(database, trace_limit=10)):
            assert await store.placed(ADA, ["chain"]) == {"chain": placed("t")}


async def test_what_moved_between_pages_leaves_too(tmp_path: Path) -> None:
    """SQLite overwrites a deleted row where it lies last, and not where it lay before."""
    dice, gone = random.Random(3), list[bytes]()
    async with Database.open(tmp_path / "mneme.db", durability="process") as database:
        sessions = SqliteSessions(database, trace_limit=10)
        words = {number: f"canary{number:06}" for number in range(60)}
        for number in range(60, 3000):
            word = words[dice.randrange(60)]
            scope = Scope("acme", word)
            if dice.random() < 0.95:
                text = f"{word} " * dice.choice((1, 3, 20, 60, 200))
                await sessions.place(scope, f"{dice.getrandbits(64):x}", replace(placed("t"), text=text))
            else:
                await sessions.forget(scope)
                gone.append(word.encode())
                words = {at: f"canary{number:06}" if old == word else old for at, old in words.items()}
        await sessions.forget(Scope("acme", words[0]))

    data = (tmp_path / "mneme.db").read_bytes()
    assert len(gone) > 100
    assert [word for word in gone if word in data] == []


async def test_who_had_nothing_left_leaves_no_trace_either(tmp_path: Path) -> None:
    """What was deleted one by one before may have left copies; a forget that finds no rows clears them too."""
    async with Database.open(tmp_path / "mneme.db", durability="process") as database:
        journal = SqliteJournal(database)
        await journal.forget(ADA)
        await journal.append(turn("one"))
        await journal.erase(ADA, ["one"])
        before = database._changes_at_rewrite

        assert await journal.forget(ADA) == 0
        assert database._changes_at_rewrite > before
        again = database._changes_at_rewrite
        await journal.forget(ADA)
        assert database._changes_at_rewrite == again
