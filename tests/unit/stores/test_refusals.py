"""A data directory that is not ours, in use, damaged or half rewritten: refused with advice, or repaired."""

import asyncio
import os
import sqlite3
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest

from gateway.errors import DataDirectoryRefused
from gateway.memory.stores import directory
from gateway.memory.stores.edge import EdgeStore
from gateway.memory.stores.sqlite import Database, SqliteJournal
from gateway.settings import Settings
from gateway.wiring import open_services
from tests.contracts.samples import ADA, DIMENSION, turn
from tests.support.gateway import ROOT

HOLD = """
import asyncio, sys
from pathlib import Path
from gateway.memory.stores.edge import EdgeStore
from gateway.memory.stores.sqlite import Database

async def main():
    path = Path(sys.argv[1])
    async with Database.open(path / "mneme.db", durability="process"):
        async with EdgeStore.open(path / "memories", embedder_identity="test", dimension=8):
            print("open", flush=True)
            await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""


async def database_refusal(path: Path) -> str:
    """Why the database is refused."""
    with pytest.raises(DataDirectoryRefused) as refused:
        async with Database.open(path, durability="process"):
            pass
    return refused.value.message


async def edge_refusal(path: Path, *, identity: str = "test", dimension: int = DIMENSION) -> str:
    """Why the memory store is refused."""
    with pytest.raises(DataDirectoryRefused) as refused:
        async with EdgeStore.open(path, embedder_identity=identity, dimension=dimension):
            pass
    return refused.value.message


async def test_one_process_at_a_time(tmp_path: Path) -> None:
    """While another process has the directory it is refused; when that was killed it opens."""
    async with Database.open(tmp_path / "mneme.db", durability="process"):
        assert "in use" in await database_refusal(tmp_path / "mneme.db")
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLD, tmp_path, cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        assert await child.stdout.readline() == b"open\n"
        assert "in use" in await database_refusal(tmp_path / "mneme.db")
        assert "in use" in await edge_refusal(tmp_path / "memories")
    finally:
        child.kill()
        await child.communicate()
    async with Database.open(tmp_path / "mneme.db", durability="process") as database:
        await SqliteJournal(database).ping()
    async with EdgeStore.open(tmp_path / "memories", embedder_identity="test", dimension=DIMENSION) as store:
        await store.ping()


async def test_another_programs_file_is_refused(tmp_path: Path) -> None:
    """And left as it was."""
    with closing(sqlite3.connect(tmp_path / "mneme.db")) as other:
        other.execute("CREATE TABLE theirs (x)")
    before = (tmp_path / "mneme.db").read_bytes()

    assert "another program" in await database_refusal(tmp_path / "mneme.db")
    assert (tmp_path / "mneme.db").read_bytes() == before


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    """The advice is to upgrade."""
    async with Database.open(tmp_path / "mneme.db", durability="process"):
        pass
    with closing(sqlite3.connect(tmp_path / "mneme.db")) as later:
        later.execute("PRAGMA user_version=99")

    assert "upgrade" in await database_refusal(tmp_path / "mneme.db")


@pytest.mark.parametrize("damage", ["text", "header", "truncated", "page"])
async def test_a_damaged_file_is_refused(tmp_path: Path, damage: str) -> None:
    """Whichever part is damaged; the advice names the file."""
    path = tmp_path / "mneme.db"
    async with Database.open(path, durability="process") as database:
        journal = SqliteJournal(database)
        for number in range(50):
            await journal.append(turn(str(number), user_text="text " * 500))
    size = path.stat().st_size
    with path.open("r+b") as file:
        if damage == "text":
            file.truncate(0)
            file.write(b"not a database at all, but long enough to be looked at " * 40)
        elif damage == "header":
            file.write(b"\0" * 100)
        elif damage == "truncated":
            file.truncate(size // 2 // 4096 * 4096)
        else:
            file.seek(4096)
            file.write(os.urandom(4096 * 3))

    message = await database_refusal(path)
    assert str(path) in message
    assert "Restore" in message


async def test_an_empty_file_is_a_new_database(tmp_path: Path) -> None:
    """A start that was killed early does no harm."""
    (tmp_path / "mneme.db").touch()

    async with Database.open(tmp_path / "mneme.db", durability="process") as database:
        assert await SqliteJournal(database).count(ADA) == 0


async def test_a_directory_in_the_files_place_is_refused(tmp_path: Path) -> None:
    """Not a traceback."""
    (tmp_path / "mneme.db").mkdir()

    assert "cannot be opened" in await database_refusal(tmp_path / "mneme.db")


@pytest.mark.parametrize("path", ["file", "file/below", "/proc/mneme", "/sys/mneme"])
def test_what_cannot_be_our_directory_is_refused(tmp_path: Path, path: str) -> None:
    """A file in its place, a file above it, a file system that takes none."""
    (tmp_path / "file").write_text("")

    with pytest.raises(DataDirectoryRefused, match="MNEME_DATA"):
        directory.make(tmp_path / path)


async def test_starting_in_what_is_no_directory_is_refused(tmp_path: Path) -> None:
    """The whole gateway, before anything else is made."""
    (tmp_path / "data").write_text("")

    with pytest.raises(DataDirectoryRefused, match="MNEME_DATA"):
        async with open_services(Settings(data=tmp_path / "data")):  # type: ignore[call-arg]  # the rest has defaults
            pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_directory_without_permission_is_refused(tmp_path: Path) -> None:
    """As a user that may not write there."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            os.setuid(65534)
            try:
                directory.make(Path("/"))
            except DataDirectoryRefused as refused:
                os.write(writing, refused.message.encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as said:
        assert "not writable" in said.read()
