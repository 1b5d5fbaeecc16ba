"""The tables, and the stamp that tells our file from others. Ids are BLOBs: any string fits, compared byte by byte."""

import sqlite3
from contextlib import closing
from pathlib import Path

from gateway.errors import DataDirectoryRefused
from gateway.memory.records import Scope
from gateway.memory.stores.codec import blob

APPLICATION_ID = 0x4D4E454D  # "MNEM"
VERSION = 2
_BUSY_SECONDS = 10.0

SCHEMA = """
CREATE TABLE turns (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant BLOB NOT NULL, user BLOB NOT NULL, id BLOB NOT NULL,
    body BLOB NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'done', 'dead')),
    revision INTEGER NOT NULL DEFAULT 1, attempts INTEGER NOT NULL DEFAULT 0,
    due REAL NOT NULL DEFAULT 0, since REAL NOT NULL, error TEXT NOT NULL DEFAULT '',
    UNIQUE (tenant, user, id)
);
CREATE INDEX turns_waiting ON turns (seq) WHERE state <> 'done';
CREATE INDEX turns_waiting_of ON turns (tenant, user, seq) WHERE state <> 'done';

CREATE TABLE placements (
    tenant BLOB NOT NULL, user BLOB NOT NULL, chain BLOB NOT NULL,
    session BLOB NOT NULL, at REAL NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (tenant, user, chain)
) WITHOUT ROWID;
CREATE INDEX placements_by_session ON placements (tenant, user, session, at);

CREATE TABLE traces (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant BLOB NOT NULL, user BLOB NOT NULL, id BLOB NOT NULL,
    session BLOB NOT NULL, body BLOB NOT NULL,
    UNIQUE (tenant, id)
);
CREATE INDEX traces_of ON traces (tenant, user, number);
"""
# What a file of schema 1 lacks: tenants, their keys and the audit log, see gateway.tenants.stores.sqlite.
_SINCE_1 = """
CREATE TABLE tenants (name BLOB PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE keys (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE, digest BLOB NOT NULL UNIQUE, tenant BLOB NOT NULL,
    body BLOB NOT NULL, until REAL, used REAL NOT NULL DEFAULT 0
);
CREATE INDEX keys_of ON keys (tenant, number);
CREATE TABLE acts (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    body BLOB NOT NULL, outcome TEXT NOT NULL DEFAULT '', target BLOB NOT NULL DEFAULT x''
);
CREATE TRIGGER acts_stay BEFORE DELETE ON acts BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER acts_stand BEFORE UPDATE ON acts WHEN old.outcome <> '' OR old.body <> new.body
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TABLE subjects (subject TEXT PRIMARY KEY, user BLOB NOT NULL) WITHOUT ROWID;
"""
# One transaction: a file that holds tables and no stamp would look like another program's.
_MAKE = f"BEGIN; {SCHEMA} {_SINCE_1} PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={VERSION}; COMMIT;"


def who(scope: Scope) -> tuple[bytes, bytes]:
    """The two columns that every statement about a user names: (tenant, user)."""
    return blob(scope.tenant), blob(scope.user)


def prepare(path: Path) -> None:
    """Make the tables, or make sure that they are ours and whole. DataDirectoryRefused says how to mend the file."""
    mend = f"Restore {path} from a backup, or move it (with -wal and -shm) away to start with an empty memory."
    try:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=_BUSY_SECONDS)) as connection:
            _make_or_check(connection, path, mend)
    except sqlite3.OperationalError as failed:
        raise DataDirectoryRefused(
            f"{path} cannot be opened ({failed}). Make it a file that this user can write, or set another MNEME_DATA."
        ) from failed
    except (sqlite3.DatabaseError, ValueError) as failed:
        raise DataDirectoryRefused(f"{path} is damaged or no SQLite file ({failed}). {mend}") from failed


def connect(path: Path, pragmas: str, patience: float = _BUSY_SECONDS) -> sqlite3.Connection:
    """A connection in autocommit mode, for use by one thread at a time; `patience` is how many seconds it waits for a
    lock."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=patience)
    connection.executescript(pragmas)
    return connection


def _make_or_check(connection: sqlite3.Connection, path: Path, mend: str) -> None:
    stamp = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if stamp == 0 and not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(_MAKE)
        return
    if stamp != APPLICATION_ID:
        raise DataDirectoryRefused(f"{path} belongs to another program. {mend}")
    if version > VERSION:
        raise DataDirectoryRefused(f"{path} was written by a newer Mneme (schema {version}): upgrade Mneme.")
    # A write: a file that we may only read is refused here, and not at the first turn.
    missing = _SINCE_1 if version < VERSION else ""
    connection.executescript(f"BEGIN IMMEDIATE; {missing} PRAGMA user_version={VERSION}; COMMIT;")
    fault = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if fault != "ok":
        raise DataDirectoryRefused(f"{path} is damaged ({fault}). {mend}")
