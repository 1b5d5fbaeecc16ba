"""The embedded database, read and never written: its schema, its pages, what waits in it. Knows no record.

Where nobody has it open its log is read with it only if there is one: without, the file is opened as one that does not
change, so that SQLite makes no files beside it.
"""

import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from gateway.doctor.finding import Finding
from gateway.doctor.folder import in_use, sizes
from gateway.doctor.waiting import waiting
from gateway.errors import DataDirectoryRefused
from gateway.memory.stores.sqlite.schema import STEPS, check_whole, mend, schema_of

_EVERY = 1_000  # of SQLite's instructions: how often it looks at the clock
_LONG_LOG = 256 << 20
_WAITING = "SELECT state, count(*), min(since) FROM turns WHERE state <> 'done' GROUP BY state"


def look(file: Path, seconds: float) -> list[Finding]:
    """Reading all pages is given up after so many seconds."""
    if not file.exists() or not file.stat().st_size:
        return [Finding("database", "ok", f"{file.name} is not there yet; the first start makes it")]
    used = in_use(file.parent)
    try:
        with closing(_opened(file, used)) as connection:
            if not (version := schema_of(connection, file, len(STEPS))):
                return [Finding("database", "ok", f"{file.name} holds nothing yet")]
            return [_schema(version), _pages(connection, file, used, seconds), _log(file), *_waiting(connection, used)]
    except sqlite3.OperationalError as failed:
        advice = "See that this user can read it, and the -wal and -shm beside it."
        return [Finding("database", "fail", f"{file} cannot be opened ({failed})", advice)]
    except sqlite3.DatabaseError as failed:
        return [Finding("database", "fail", f"{file} is damaged or no SQLite file ({failed})", mend(file))]
    except DataDirectoryRefused as refused:
        return [Finding("database", "fail", refused.message)]


def _opened(file: Path, used: bool) -> sqlite3.Connection:
    alone = not used and not sizes([file.with_name(f"{file.name}-wal")])
    how = "mode=ro&immutable=1" if alone else "mode=ro"
    return sqlite3.connect(f"file:{quote(str(file.absolute()))}?{how}", uri=True, isolation_level=None, timeout=1.0)


def _schema(version: int) -> Finding:
    if version < len(STEPS):
        told = f"schema {version}; the next start brings it to {len(STEPS)}"
        return Finding("database", "warn", told, "There is no way back: back up first.")
    return Finding("database", "ok", f"schema {version}")


def _pages(connection: sqlite3.Connection, file: Path, used: bool, seconds: float) -> Finding:
    if used:
        return Finding("database pages", "skipped", "not read while a process has the database open")
    until = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > until, _EVERY)
    alarm = threading.Timer(max(seconds, 0.0), connection.interrupt)  # a tree of pages is one instruction
    alarm.start()
    try:
        check_whole(connection, file)
    except sqlite3.OperationalError as failed:
        if failed.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        return Finding("database pages", "skipped", f"{sizes([file]) >> 20} MiB are not read in {seconds:g} s")
    except (DataDirectoryRefused, sqlite3.DatabaseError):
        if in_use(file.parent):
            return Finding("database pages", "skipped", "a process opened the database meanwhile")
        raise
    finally:
        connection.set_progress_handler(None, 0)
        alarm.cancel()
        alarm.join()
    return Finding("database pages", "ok", f"{sizes([file]) >> 20} MiB, whole")


def _log(file: Path) -> Finding:
    size = sizes([file.with_name(f"{file.name}-wal")])
    if size > _LONG_LOG:
        advice = "Somebody may be reading the file for long, such as a copy of it; a stop and start empties the log."
        return Finding("write-ahead log", "warn", f"{size >> 20} MiB", advice)
    return Finding("write-ahead log", "ok", f"{size >> 20} MiB")


def _waiting(connection: sqlite3.Connection, used: bool) -> list[Finding]:
    rows = {state: (count, since) for state, count, since in connection.execute(_WAITING)}
    pending, since = rows.get("pending", (0, time.time()))
    dead, _ = rows.get("dead", (0, 0.0))
    return [waiting(pending, dead, time.time() - since if used else 0.0)]
