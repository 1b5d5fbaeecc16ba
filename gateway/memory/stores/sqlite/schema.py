"""The tables as steps from each schema to the next, and the stamp that tells our file from others. Ids are BLOBs: any
string fits, compared byte by byte. Knows no row."""

import logging
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from gateway.errors import DataDirectoryRefused
from gateway.memory.records import Scope
from gateway.memory.stores.codec import blob

log = logging.getLogger(__name__)

APPLICATION_ID = 0x4D4E454D  # "MNEM"
_BUSY_SECONDS = 10.0

_JOURNAL_AND_SESSIONS = """
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
# See gateway.tenants.stores.sqlite.
_TENANTS_AND_AUDIT = """
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
_AGENDA = """
CREATE TABLE agenda (
    tenant BLOB NOT NULL, user BLOB NOT NULL,
    at REAL NOT NULL, lease REAL NOT NULL DEFAULT 0, tries INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, user)
) WITHOUT ROWID;
CREATE INDEX agenda_times ON agenda (at);
CREATE TABLE dues (
    tenant BLOB NOT NULL, user BLOB NOT NULL, turn BLOB NOT NULL,
    seq INTEGER NOT NULL, policy BLOB NOT NULL, stamp BLOB NOT NULL,
    PRIMARY KEY (tenant, user, turn)
) WITHOUT ROWID;
CREATE INDEX dues_in_order ON dues (tenant, user, seq);
CREATE TABLE thought (
    tenant BLOB NOT NULL, user BLOB NOT NULL, turn BLOB NOT NULL, stamp BLOB NOT NULL,
    PRIMARY KEY (tenant, user, turn)
) WITHOUT ROWID;
CREATE TABLE reflections (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant BLOB NOT NULL, user BLOB NOT NULL, id BLOB NOT NULL,
    intended INTEGER NOT NULL, body BLOB NOT NULL,
    UNIQUE (tenant, user, id)
);
CREATE INDEX reflections_of ON reflections (tenant, user, number);
CREATE INDEX reflections_unfinished ON reflections (tenant, user, number) WHERE intended;
CREATE TABLE rests (
    tenant BLOB NOT NULL, user BLOB NOT NULL, source BLOB NOT NULL, number INTEGER NOT NULL,
    PRIMARY KEY (tenant, user, source, number)
) WITHOUT ROWID;
CREATE INDEX rests_of ON rests (number);
CREATE TABLE spending (
    day TEXT NOT NULL, tenant BLOB NOT NULL, calls INTEGER NOT NULL, tokens INTEGER NOT NULL,
    PRIMARY KEY (day, tenant)
) WITHOUT ROWID;
"""
STEPS: Sequence[str] = (_JOURNAL_AND_SESSIONS, _TENANTS_AND_AUDIT, _AGENDA)
"""Step n leads from schema n to n + 1. One that was released is never changed: there are files that it made."""


def who(scope: Scope) -> tuple[bytes, bytes]:
    """The two columns that every statement about a user names: (tenant, user)."""
    return blob(scope.tenant), blob(scope.user)


def prepare(path: Path, steps: Sequence[str] = STEPS) -> None:
    """Make the tables, or make sure that they are ours and whole, and of the latest schema. DataDirectoryRefused says
    how to mend the file; a step that fails leaves it as it was before that step."""
    try:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=_BUSY_SECONDS)) as connection:
            version = schema_of(connection, path, len(steps))
            check_whole(connection, path)
            _migrate(connection, path, steps, version)
    except sqlite3.OperationalError as failed:
        raise DataDirectoryRefused(
            f"{path} cannot be opened ({failed}). Make it a file that this user can write, or set another MNEME_DATA."
        ) from failed
    except (sqlite3.DatabaseError, ValueError) as failed:
        raise DataDirectoryRefused(f"{path} is damaged or no SQLite file ({failed}). {mend(path)}") from failed


def connect(path: Path, pragmas: str, patience: float = _BUSY_SECONDS) -> sqlite3.Connection:
    """A connection in autocommit mode, for use by one thread at a time; `patience` is how many seconds it waits for a
    lock."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=patience)
    connection.executescript(pragmas)
    return connection


def schema_of(connection: sqlite3.Connection, path: Path, latest: int) -> int:
    """The schema of a file that is ours; 0 while nothing is in it. DataDirectoryRefused when it is not ours, or is
    newer than `latest`."""
    stamp = connection.execute("PRAGMA application_id").fetchone()[0]
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if stamp == 0 and not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        return 0
    if stamp != APPLICATION_ID:
        raise DataDirectoryRefused(f"{path} belongs to another program. {mend(path)}")
    if version > latest:
        raise DataDirectoryRefused(
            f"{path} was written by a newer Mneme (schema {version}, this one reads {latest}): upgrade Mneme, or "
            "restore what was backed up before the upgrade."
        )
    return version


def check_whole(connection: sqlite3.Connection, path: Path) -> None:
    """Read every page. DataDirectoryRefused when one of them is damaged."""
    fault = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if fault != "ok":
        raise DataDirectoryRefused(f"{path} is damaged ({fault}). {mend(path)}")


def mend(path: Path) -> str:
    """What to do with a file that is damaged."""
    return f"Restore {path} from a backup, or move it (with -wal and -shm) away to start with an empty memory."


def _migrate(connection: sqlite3.Connection, path: Path, steps: Sequence[str], version: int) -> None:
    """Each step in a transaction of its own; of a new file all in one, for one that holds tables and no stamp would
    look like another program's."""
    if version == 0:
        connection.execute("PRAGMA journal_mode=WAL")
        made = f"{''.join(steps)} PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={len(steps)};"
        connection.executescript(f"BEGIN IMMEDIATE; {made} COMMIT;")
        return
    for number in range(version, len(steps)):
        connection.executescript(f"BEGIN IMMEDIATE; {steps[number]} PRAGMA user_version={number + 1}; COMMIT;")
        log.warning("%s was of schema %d and is of schema %d now", path.name, number, number + 1)
    # A write: a file that we may only read is refused here, and not at the first turn.
    connection.executescript(f"BEGIN IMMEDIATE; PRAGMA user_version={len(steps)}; COMMIT;")
