"""One SQLite file: a writer thread that commits in groups, and a reader thread. Knows no table's meaning.

Group commit: everything that is queued while the last commit ran goes into the next one, each job in its own savepoint,
so a hundred turns that end together cost one commit, and one that fails takes no other with it.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from gateway.errors import DataDirectoryRefused, MemoryUnavailable
from gateway.memory.stores.sqlite.schema import APPLICATION_ID, SCHEMA, VERSION

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]
_QUEUED = 4096
_CACHE_KIB = 16_384
_CORRUPT = (sqlite3.DatabaseError, ValueError)


@dataclass(slots=True)
class _Ticket:
    job: Job[Any]
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


class Database:
    """Made by `open`. `commits` counts transactions, for metrics and tests."""

    def __init__(self, path: Path, durability: str) -> None:
        self._path = path
        self._durability = durability
        self._tickets: queue.SimpleQueue[_Ticket | None] = queue.SimpleQueue()
        self._room = asyncio.Semaphore(_QUEUED)
        self._loop = asyncio.get_running_loop()
        self._readers = ThreadPoolExecutor(1, "sqlite-read", initializer=self._open_reader)
        self._reading: sqlite3.Connection | None = None
        self._writer = threading.Thread(target=self._write, name="sqlite-write")
        self.commits = 0

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, *, durability: Literal["process", "power"]) -> AsyncIterator["Database"]:
        """The database at `path`, made if absent. DataDirectoryRefused if the file is foreign, newer or damaged."""
        await asyncio.to_thread(_prepare, path)
        database = cls(path, durability)
        database._writer.start()
        try:
            yield database
        finally:
            await asyncio.to_thread(database._close)

    async def write(self, job: Job[T]) -> T:
        """Run the job in the next transaction; its result once that is committed. MemoryUnavailable when it fails."""
        async with self._room:
            result: T = await self._submit(job)
            return result

    def write_soon(self, job: Job[Any]) -> asyncio.Future[Any]:
        """Queue the job, in order with all others, and do not wait for it."""
        return self._submit(job)

    async def read(self, job: Job[T]) -> T:
        """Run the job on the reading connection; it sees everything that was committed."""

        def run() -> T:
            if self._reading is None:
                raise sqlite3.OperationalError("not open")
            return job(self._reading)

        try:
            return await self._loop.run_in_executor(self._readers, run)
        except (sqlite3.Error, RuntimeError) as failed:
            raise MemoryUnavailable(f"The embedded database cannot be read: {failed}") from failed

    async def scrub(self) -> None:
        """Make deleted text leave the files: pages are overwritten on delete, this empties the write-ahead log."""
        await self.write(lambda connection: None)
        await self.read(lambda connection: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())

    def _submit(self, job: Job[Any]) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = self._loop.create_future()
        self._tickets.put(_Ticket(job, future))
        return future

    def _open_reader(self) -> None:
        self._reading = _connect(self._path, self._durability)

    def _close(self) -> None:
        self._tickets.put(None)
        self._writer.join()
        if self._reading is not None:
            self._readers.submit(self._reading.close)
        self._readers.shutdown()

    def _write(self) -> None:
        with closing(_connect(self._path, self._durability)) as connection:
            running = True
            while running:
                batch = [self._tickets.get()]
                while not self._tickets.empty():
                    batch.append(self._tickets.get())
                running = None not in batch
                tickets = [ticket for ticket in batch if ticket is not None]
                if tickets:
                    self._commit(connection, tickets)
                    self._loop.call_soon_threadsafe(_resolve, tickets)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _commit(self, connection: sqlite3.Connection, tickets: list[_Ticket]) -> None:
        try:
            connection.execute("BEGIN IMMEDIATE")
            for ticket in tickets:
                _run(connection, ticket)
            connection.execute("COMMIT")
        except sqlite3.Error as failed:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            for ticket in tickets:
                ticket.error = ticket.error or failed
        self.commits += 1


def _run(connection: sqlite3.Connection, ticket: _Ticket) -> None:
    connection.execute("SAVEPOINT job")
    try:
        ticket.result = ticket.job(connection)
    except (sqlite3.Error, ValueError, TypeError, OverflowError) as failed:
        ticket.error = failed
        connection.execute("ROLLBACK TO job")
    connection.execute("RELEASE job")


def _resolve(tickets: list[_Ticket]) -> None:
    """On the loop, once per commit: waking it once per job would cost more than the jobs."""
    for ticket in tickets:
        if ticket.future.cancelled():
            continue
        if ticket.error is None:
            ticket.future.set_result(ticket.result)
        else:
            error = MemoryUnavailable(f"The embedded database cannot be written: {ticket.error}")
            error.__cause__ = ticket.error
            ticket.future.set_exception(error)


def _connect(path: Path, durability: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
    connection.executescript(
        f"PRAGMA synchronous={'FULL' if durability == 'power' else 'NORMAL'};"
        f"PRAGMA cache_size=-{_CACHE_KIB}; PRAGMA secure_delete=ON; PRAGMA temp_store=MEMORY;"
    )
    return connection


def _prepare(path: Path) -> None:
    """Make the tables, or make sure that they are ours and whole."""
    mend = f"Restore {path} from a backup, or move it (with -wal and -shm) away to start with an empty memory."
    try:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as connection:
            stamp = connection.execute("PRAGMA application_id").fetchone()[0]
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if stamp == 0 and not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.executescript(SCHEMA)
                connection.executescript(f"PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={VERSION};")
                return
            if stamp != APPLICATION_ID:
                raise DataDirectoryRefused(f"{path} belongs to another program. {mend}")
            if version > VERSION:
                raise DataDirectoryRefused(f"{path} was written by a newer Mneme (schema {version}): upgrade Mneme.")
            fault = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if fault != "ok":
                raise DataDirectoryRefused(f"{path} is damaged ({fault}). {mend}")
    except _CORRUPT as failed:
        raise DataDirectoryRefused(f"{path} is damaged or no SQLite file ({failed}). {mend}") from failed
