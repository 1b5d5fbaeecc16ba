"""The embedded database as doctor sees it: damaged, foreign, old, newer, in use, cut off; and left as it was."""

import os
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from gateway.doctor.database import look
from gateway.memory.stores.sqlite import Database, SqliteJournal
from gateway.memory.stores.sqlite.schema import STEPS, prepare
from tests.contracts.samples import turn
from tests.support.findings import states, told


async def filled(path: Path, turns: int = 3) -> Path:
    """A database in which turns wait."""
    async with Database.open(path / "mneme.db", durability="process") as database:
        for number in range(turns):
            await SqliteJournal(database).append(turn(str(number), user_text="text " * 500))
    return path / "mneme.db"


def contents(folder: Path) -> dict[str, bytes]:
    """Every file."""
    return {file.name: file.read_bytes() for file in folder.iterdir()}


async def test_a_whole_file_is_fine_and_stays_as_it_is(tmp_path: Path) -> None:
    """Nothing comes about beside it either. Turns that nobody could have indexed meanwhile are not late."""
    file = await filled(tmp_path)
    before = contents(tmp_path)
    found = look(file, 5)

    assert states(found) == {"ok"}
    assert f"schema {len(STEPS)}" in told(found, "database")
    assert "whole" in told(found, "database pages")
    assert "3 turns wait →" in told(found, "journal")
    assert contents(tmp_path) == before


async def test_a_file_that_is_not_there_yet_is_fine(tmp_path: Path) -> None:
    """Nor is an empty one a failure; none is made."""
    assert states(look(tmp_path / "mneme.db", 5)) == {"ok"}
    assert contents(tmp_path) == {}
    (tmp_path / "mneme.db").touch()
    assert states(look(tmp_path / "mneme.db", 5)) == {"ok"}


async def test_what_a_killed_process_left_is_read(tmp_path: Path) -> None:
    """With its log: the turns that only stand there are counted, and the next start has them."""
    (tmp_path / "left").mkdir()
    async with Database.open(tmp_path / "mneme.db", durability="process") as database:
        await SqliteJournal(database).append(turn("t"))
        for name in ("mneme.db", "mneme.db-wal", "mneme.db-shm"):
            shutil.copy(tmp_path / name, tmp_path / "left")
    before = (tmp_path / "left" / "mneme.db").read_bytes(), (tmp_path / "left" / "mneme.db-wal").read_bytes()
    assert before[1]

    found = look(tmp_path / "left" / "mneme.db", 5)
    assert states(found) == {"ok"}
    assert "1 turns wait" in told(found, "journal")
    after = (tmp_path / "left" / "mneme.db").read_bytes(), (tmp_path / "left" / "mneme.db-wal").read_bytes()
    assert after == before
    async with Database.open(tmp_path / "left" / "mneme.db", durability="process") as database:
        assert (await SqliteJournal(database).lag()).pending == 1


async def test_a_file_in_use_is_not_read_through(tmp_path: Path) -> None:
    """What waits there is told, and is late when it is old: somebody should have indexed it. The process goes on, and
    can empty its log."""
    async with Database.open(tmp_path / "mneme.db", durability="process") as database:
        journal = SqliteJournal(database, clock=lambda: time.time() - 3600)
        await journal.append(turn("t"))
        found = look(tmp_path / "mneme.db", 5)
        await database.scrub()

    assert told(found, "database pages").startswith("skipped")
    assert told(found, "journal").startswith("warn: 1 turns wait, the oldest for 36")
    assert "Start a writer" in told(found, "journal")


async def test_dead_letters_are_told(tmp_path: Path) -> None:
    """With the way to see them."""
    async with Database.open(tmp_path / "mneme.db", durability="process") as database:
        journal = SqliteJournal(database)
        await journal.append(turn("t"))
        (claimed,) = await journal.claim(1)
        await journal.fail(claimed, "why", attempts=1, delay=0)

    assert told(look(tmp_path / "mneme.db", 5), "journal").startswith("warn: 0 turns wait; 1 dead letters → GET /admin")


@pytest.mark.parametrize("damage", ["text", "header", "truncated", "page"])
async def test_a_damaged_file_fails(tmp_path: Path, damage: str) -> None:
    """Whichever part is damaged; the advice names the file."""
    file = await filled(tmp_path, 50)
    size = file.stat().st_size
    with file.open("r+b") as written:
        if damage == "text":
            written.truncate(0)
            written.write(b"not a database at all, but long enough to be looked at " * 40)
        elif damage == "header":
            written.write(b"\0" * 100)
        elif damage == "truncated":
            written.truncate(size // 2 // 4096 * 4096)
        else:
            written.seek(4096)
            written.write(os.urandom(4096 * 3))

    (found,) = look(file, 5)
    assert (found.name, found.state) == ("database", "fail")
    assert f"Restore {file}" in found.found + found.advice


async def test_a_file_of_another_program_fails(tmp_path: Path) -> None:
    """And a directory in its place does."""
    with closing(sqlite3.connect(tmp_path / "theirs.db")) as other:
        other.execute("CREATE TABLE theirs (x)")
    assert "another program" in told(look(tmp_path / "theirs.db", 5), "database")
    (tmp_path / "mneme.db").mkdir()
    assert "cannot be opened" in told(look(tmp_path / "mneme.db", 5), "database")


async def test_an_old_schema_is_told_and_a_newer_one_fails(tmp_path: Path) -> None:
    """Neither is touched; one that holds nothing is neither."""
    prepare(tmp_path / "old.db", STEPS[:1])
    prepare(tmp_path / "newer.db", [*STEPS, "CREATE TABLE later (x);"])
    with closing(sqlite3.connect(tmp_path / "empty.db")) as empty:
        empty.execute("PRAGMA user_version=0")
        empty.execute("VACUUM")
    before = contents(tmp_path)

    assert told(look(tmp_path / "old.db", 5), "database").startswith(
        f"warn: schema 1; the next start brings it to {len(STEPS)}"
    )
    assert told(look(tmp_path / "newer.db", 5), "database").startswith("fail")
    assert "upgrade Mneme" in told(look(tmp_path / "newer.db", 5), "database")
    assert told(look(tmp_path / "empty.db", 5), "database").startswith("ok")
    assert contents(tmp_path) == before


async def test_reading_all_pages_has_an_end(tmp_path: Path) -> None:
    """A file that is too large for it is no failure, and the rest is told."""
    found = look(await filled(tmp_path, 400), -1)

    assert told(found, "database pages").startswith("skipped")
    assert told(found, "journal").startswith("ok")


async def test_a_long_log_is_told(tmp_path: Path) -> None:
    """Somebody keeps it from being emptied."""
    file = await filled(tmp_path)
    with file.with_name("mneme.db-wal").open("wb") as log:
        log.truncate(300 << 20)

    assert told(look(file, 5), "write-ahead log").startswith("warn: 300 MiB")
