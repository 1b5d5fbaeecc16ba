"""Copies of stores that are in use: whole, of one moment, and openable; nobody is kept from the stores by them."""

import asyncio
import sqlite3
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path

import pytest

from gateway.errors import MemoryUnavailable
from gateway.memory.stores.edge import EdgeStore
from gateway.memory.stores.sqlite import Database, SqliteJournal
from tests.contracts.samples import ADA, BOB, DIMENSION, entry, memory, turn


def database(path: Path) -> AbstractAsyncContextManager[Database]:
    """The one in this directory."""
    return Database.open(path / "mneme.db", durability="process")


def store(path: Path) -> AbstractAsyncContextManager[EdgeStore]:
    """The one in this directory."""
    return EdgeStore.open(path, embedder_identity="test", dimension=DIMENSION)


async def test_a_copied_journal_is_one_moment_of_it(tmp_path: Path) -> None:
    """Of turns that are told one after the other it has the first so many, however many are told meanwhile."""
    (tmp_path / "copy").mkdir()
    async with database(tmp_path) as opened:
        journal, told = SqliteJournal(opened), 0

        async def tell() -> None:
            nonlocal told
            while True:
                await journal.append(turn(f"t{told}", user_text="x" * 1000))
                told += 1

        telling = asyncio.create_task(tell())
        while told < 500:
            await asyncio.sleep(0.01)
        before = told
        held = await journal.copy(tmp_path / "copy" / "mneme.db")
        after = told
        telling.cancel()
    async with database(tmp_path / "copy") as copy:
        kept = (await SqliteJournal(copy).kept(ADA, limit=100_000)).items

    assert before <= held <= after + 1
    assert [each.turn.id for each in kept] == [f"t{number}" for number in range(held)]


async def test_forgetting_waits_for_a_copy(tmp_path: Path) -> None:
    """It empties the log, which cannot be done while somebody reads it; what is copied by then still has the user."""
    (tmp_path / "copy").mkdir()
    async with database(tmp_path) as opened:
        journal = SqliteJournal(opened)
        for number in range(50):
            await journal.append(turn(f"t{number}", user_text="a canary " * 20_000))
        copying = asyncio.create_task(journal.copy(tmp_path / "copy" / "mneme.db"))
        await asyncio.sleep(0)
        forgotten = await journal.forget(ADA)
        held = await copying

    assert (forgotten, held) == (50, 50)
    assert b"canary" not in (tmp_path / "mneme.db").read_bytes()


async def test_a_damaged_database_is_not_copied(tmp_path: Path) -> None:
    """It is told now, and not when the copy is needed."""
    (tmp_path / "copy").mkdir()
    async with database(tmp_path) as opened:
        journal = SqliteJournal(opened)
        for number in range(500):
            await journal.append(turn(f"t{number}", user_text="x" * 500))
        await opened.scrub()
        with (tmp_path / "mneme.db").open("r+b") as file:
            file.seek(40_960)
            file.write(b"\xff" * 20_480)
        with pytest.raises(MemoryUnavailable):
            await journal.copy(tmp_path / "copy" / "mneme.db")


async def test_a_copied_store_opens_with_all_it_had(tmp_path: Path) -> None:
    """While it is asked, and written to afterwards."""
    async with store(tmp_path / "memories") as memories:
        await memories.put([entry(memory(f"m{number}")) for number in range(1000)])
        held, found, _ = await asyncio.gather(
            memories.copy(tmp_path / "copy"), memories.get(ADA, ["m7"]), memories.put([entry(memory("late"))])
        )
        total = await memories.count(ADA)
    async with store(tmp_path / "copy") as copy:
        count = await copy.count(ADA)
        first = await copy.get(ADA, ["m0", "m999"])

    assert (held, total) in ((1000, 1001), (1001, 1001))
    assert count == held
    assert found == [memory("m7")]
    assert first == [memory("m0"), memory("m999")]


async def test_a_copy_of_what_was_written_anew_is_of_that(tmp_path: Path) -> None:
    """A forgetting has changed the files that the store uses."""
    async with store(tmp_path / "memories") as memories:
        await memories.put([entry(memory("m", BOB)), entry(memory("canary"))])
        await memories.forget(ADA)
        held = await memories.copy(tmp_path / "copy")

    files = [file for file in (tmp_path / "copy").rglob("*") if file.is_file()]
    assert held == 1
    assert [file.name for file in files if b"text of canary" in file.read_bytes()] == []


async def test_what_was_deleted_leaves_the_copy_too(tmp_path: Path) -> None:
    """At its own first stop: the engine keeps deleted points for a while, and the copy knows."""
    async with store(tmp_path / "memories") as memories:
        await memories.put([entry(memory("m", BOB)), entry(memory("canary"))])
        await memories.delete(ADA, ["canary"])
        await memories.copy(tmp_path / "copy")
    async with store(tmp_path / "copy"):
        pass

    files = [file for file in (tmp_path / "copy").rglob("*") if file.is_file()]
    assert [file.name for file in files if b"text of canary" in file.read_bytes()] == []


async def test_marks_are_copied_and_locks_are_not(tmp_path: Path) -> None:
    """An index that is behind stays so in the copy."""
    async with store(tmp_path / "memories") as memories:
        (tmp_path / "memories" / "behind").write_text("a mark")
        await memories.copy(tmp_path / "copy")

    assert (tmp_path / "copy" / "behind").read_text() == "a mark"
    assert not (tmp_path / "copy" / "lock").exists()


async def test_a_copy_over_another_is_refused(tmp_path: Path) -> None:
    """By its name for what fails; the store goes on."""
    (tmp_path / "copy").mkdir()
    async with store(tmp_path / "memories") as memories:
        with pytest.raises(MemoryUnavailable):
            await memories.copy(tmp_path / "copy")
        await memories.put([entry(memory("m"))])

        assert await memories.count(ADA) == 1


def test_sqlite_reads_a_copy_without_its_log(tmp_path: Path) -> None:
    """One file is all of it: nothing of a copy lies in a log beside it."""

    async def copied() -> None:
        async with database(tmp_path) as opened:
            journal = SqliteJournal(opened)
            await journal.append(turn("t"))
            await journal.copy(tmp_path / "one.db")

    asyncio.run(copied())
    assert [*tmp_path.glob("one.db*")] == [tmp_path / "one.db"]
    with closing(sqlite3.connect(tmp_path / "one.db")) as copy:
        assert copy.execute("SELECT count(*) FROM turns").fetchone() == (1,)
