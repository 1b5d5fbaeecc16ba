"""One SQLite file: a writer thread that commits in groups, and a reader thread. Knows no table's meaning.

Group commit: everything that is queued while the last commit ran goes into the next one, each job in its own savepoint,
so a hundred turns that end together cost one commit, and one that fails takes no other with it.
"""

import asyncio
import logging
import queue
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from gateway.errors import MemoryUnavailable
from gateway.memory.stores import directory
from gateway.memory.stores.sqlite.schema import connect, prepare

log = logging.getLogger(__name__)

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]
_QUEUED = 4096
_ROOM_SECONDS = 0.5  # well below what an answer may be held for the journal
_CACHE_KIB = 16_384
_PATIENCE = 2.5  # one try for the file while another process holds it; closing waits for two or three of them


@dataclass(slots=True)
class _Ticket:
    job: Job[Any]
    future: asyncio.Future[Any]
    alone: bool = False
    """Outside any transaction, after the commit."""
    result: Any = None
    error: BaseException | None = None


class Database:
    """Made by `open`. `commits` counts transactions, for metrics and tests; `queued` what waits for one."""

    def __init__(self, path: Path, durability: str, limit: int, patience: float) -> None:
        self._path = path
        self._pragmas = (
            f"PRAGMA synchronous={'FULL' if durability == 'power' else 'NORMAL'};"
            f"PRAGMA cache_size=-{_CACHE_KIB}; PRAGMA secure_delete=ON; PRAGMA temp_store=MEMORY;"
        )
        self._tickets: queue.SimpleQueue[_Ticket | None] = queue.SimpleQueue()
        self._room = asyncio.Semaphore(limit)
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._readers = ThreadPoolExecutor(1, "sqlite-read")
        self._writing = connect(path, self._pragmas, patience)
        self._reading = connect(path, self._pragmas)
        self._writer = threading.Thread(target=self._write, name="sqlite-write")
        self._reading_all = asyncio.Lock()
        self._closed = False
        self._changes_at_rewrite = -1
        self.commits = 0
        self.queued = 0

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        path: Path,
        *,
        durability: Literal["process", "power"],
        limit: int = _QUEUED,
        patience: float = _PATIENCE,
    ) -> AsyncIterator["Database"]:
        """The database at `path`, made if absent; at most `limit` writes wait in memory. While another process has
        locked the file they wait, tried every `patience` seconds; after closing once more, then they are given up.
        DataDirectoryRefused if the file is in use, foreign, newer or damaged."""
        with directory.locked(path.with_name(f"{path.name}.lock")):
            await asyncio.to_thread(prepare, path)
            database = cls(path, durability, limit, patience)
            database._writer.start()
            try:
                yield database
            finally:
                database._closed = True
                await asyncio.to_thread(database._close)

    async def write(self, job: Job[T]) -> T:
        """Run the job in the next transaction; its result once that is committed. MemoryUnavailable when it fails."""
        await self._wait_for_room()
        result: T = await self._submit(job)
        return result

    async def enqueue(self, prepare_job: Callable[[], Job[Any]]) -> None:
        """Queue the job that `prepare_job` gives once there is room, in order with all others, and do not wait for its
        commit; a failure is logged."""
        await self._wait_for_room()
        self._submit(prepare_job()).add_done_callback(_log_failure)

    async def offer(self, job: Job[Any]) -> bool:
        """The same for what may be lost: False, at once, when half the queue is taken."""
        if self.queued >= self._limit // 2:
            return False
        await self.enqueue(lambda: job)
        return True

    async def read(self, job: Job[T]) -> T:
        """Run the job on the reading connection; it sees everything that was committed."""
        try:
            return await self._loop.run_in_executor(self._readers, lambda: job(self._reading))
        except MemoryUnavailable:
            raise
        except Exception as failed:  # whatever a closed file or a damaged row raises: this is where it gets a name
            raise MemoryUnavailable(f"The embedded database cannot be read: {failed}") from failed

    async def scrub(self) -> None:
        """Make deleted text leave the files. SQLite overwrites what it deletes, and not the copies that it left where
        it had moved rows from one page to another: so the file is written anew, if anything was written since that was
        last done, and the write-ahead log emptied. Other writes wait meanwhile."""
        async with self._reading_all:
            await self._wait_for_room()
            await self._submit(self._rewrite, alone=True)

    async def copy(self, path: Path, look: Job[T]) -> T:
        """Copy the whole database, as it is at one moment, to a new file and check it there, while reads and writes go
        on; what `look` finds in the copy. Scrubbing waits: it cannot empty a log that somebody reads."""
        async with self._reading_all:
            try:
                return await asyncio.to_thread(_copy, self._path, path, look)
            except sqlite3.Error as failed:
                raise MemoryUnavailable(f"The embedded database cannot be copied: {failed}") from failed

    async def _wait_for_room(self) -> None:
        try:
            async with asyncio.timeout(_ROOM_SECONDS):
                await self._room.acquire()
        except TimeoutError:
            raise MemoryUnavailable("The embedded database does not keep up: its queue is full.") from None

    def _submit(self, job: Job[Any], *, alone: bool = False) -> asyncio.Future[Any]:
        if self._closed:
            raise MemoryUnavailable("The embedded database is closed.")
        future: asyncio.Future[Any] = self._loop.create_future()
        self.queued += 1
        self._tickets.put(_Ticket(job, future, alone))
        return future

    def _rewrite(self, connection: sqlite3.Connection) -> None:
        if connection.total_changes != self._changes_at_rewrite:
            connection.execute("VACUUM")
            self._changes_at_rewrite = connection.total_changes
        _empty_log(connection)

    def _close(self) -> None:
        self._tickets.put(None)
        self._writer.join()
        self._readers.shutdown()
        self._reading.close()
        self._writing.close()

    def _write(self) -> None:
        running = True
        while running:
            batch = [self._tickets.get()]
            while not self._tickets.empty():
                batch.append(self._tickets.get())
            running = None not in batch
            tickets = [ticket for ticket in batch if ticket is not None]
            if tickets:
                self._commit([ticket for ticket in tickets if not ticket.alone])
                for ticket in tickets:
                    if ticket.alone:
                        _attempt(self._writing, ticket)
                self._loop.call_soon_threadsafe(self._resolve, tickets)
        _attempt(self._writing, _Ticket(_empty_log, self._loop.create_future()))

    def _commit(self, tickets: list[_Ticket]) -> None:
        if not tickets:
            return
        connection = self._writing
        try:
            self._begin(connection)
            for ticket in tickets:
                _run(connection, ticket)
            connection.execute("COMMIT")
        except sqlite3.Error as failed:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            for ticket in tickets:
                ticket.error = ticket.error or failed
        self.commits += 1

    def _begin(self, connection: sqlite3.Connection) -> None:
        """Take the write lock, however long somebody else holds it: answers have ended on the word that what is queued
        will be written. Whoever waits for it has a timeout of their own."""
        waited = False
        while True:
            last = self._closed
            try:
                connection.execute("BEGIN IMMEDIATE")
                break
            except sqlite3.OperationalError as failed:
                if last or not _is_busy(failed):
                    raise
                if not waited:
                    log.warning("another process has locked the database; %d writes wait for it", self.queued)
                waited = True
        if waited:
            log.warning("the database is free again")

    def _resolve(self, tickets: list[_Ticket]) -> None:
        """On the loop, once per commit: waking it once per job would cost more than the jobs."""
        for ticket in tickets:
            self.queued -= 1
            self._room.release()
            if ticket.future.cancelled():
                if ticket.error is not None:  # its caller was told that it stays queued
                    log.error("a write that nobody waited for any more failed: %s", ticket.error)
            elif ticket.error is None:
                ticket.future.set_result(ticket.result)
            else:
                error = MemoryUnavailable(f"The embedded database cannot be written: {ticket.error}")
                error.__cause__ = ticket.error
                ticket.future.set_exception(error)


def select(statement: str, *values: Any) -> Job[list[Any]]:
    """A job that answers with all rows."""
    return lambda connection: connection.execute(statement, values).fetchall()


def change(statement: str, rows: Sequence[Any]) -> Job[int]:
    """A job that runs the statement for every row; how many it changed."""
    return lambda connection: connection.executemany(statement, rows).rowcount


def _run(connection: sqlite3.Connection, ticket: _Ticket) -> None:
    connection.execute("SAVEPOINT job")
    if not _attempt(connection, ticket):
        connection.execute("ROLLBACK TO job")
    connection.execute("RELEASE job")


def _attempt(connection: sqlite3.Connection, ticket: _Ticket) -> bool:
    try:
        ticket.result = ticket.job(connection)
    except Exception as failed:  # noqa: BLE001  # a job's failure is its caller's to hear; this thread must live on
        ticket.error = failed
    return ticket.error is None


def _is_busy(failed: sqlite3.OperationalError) -> bool:
    """Whether another process is in the way; not a disk that is full, read-only or broken."""
    return failed.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY  # the rest is detail


def _copy(path: Path, to: Path, look: Job[T]) -> T:
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(to)) as copy:
        source.backup(copy)  # in one step: one that is taken in many begins anew whenever somebody writes
    prepare(to)
    with closing(sqlite3.connect(to)) as copy:
        return look(copy)


def _empty_log(connection: sqlite3.Connection) -> None:
    busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    if busy:
        raise sqlite3.OperationalError("somebody else reads the write-ahead log")


def _log_failure(future: asyncio.Future[Any]) -> None:
    """Nobody waits for these writes, so nobody else would hear of it."""
    if not future.cancelled() and (failed := future.exception()) is not None:
        log.error("a queued write failed: %s", failed)
