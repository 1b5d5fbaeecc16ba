"""The tables, and the stamp that tells our file from others. Ids are BLOBs: any string fits, compared byte by byte."""

from gateway.memory.records import Scope

APPLICATION_ID = 0x4D4E454D  # "MNEM"
VERSION = 1

SCHEMA = """
CREATE TABLE turns (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant BLOB NOT NULL, user BLOB NOT NULL, id TEXT NOT NULL,
    body BLOB NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'done', 'dead')),
    revision INTEGER NOT NULL DEFAULT 1, attempts INTEGER NOT NULL DEFAULT 0,
    due REAL NOT NULL DEFAULT 0, since REAL NOT NULL, error TEXT NOT NULL DEFAULT '',
    UNIQUE (tenant, user, id)
);
CREATE INDEX turns_waiting ON turns (seq) WHERE state <> 'done';
CREATE INDEX turns_waiting_of ON turns (tenant, user, seq) WHERE state <> 'done';

CREATE TABLE placements (
    tenant BLOB NOT NULL, user BLOB NOT NULL, chain TEXT NOT NULL,
    session BLOB NOT NULL, turn TEXT NOT NULL, at REAL NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (tenant, user, chain)
) WITHOUT ROWID;
CREATE INDEX placements_by_session ON placements (tenant, user, session, at);

CREATE TABLE cuts (
    tenant BLOB NOT NULL, user BLOB NOT NULL, session BLOB NOT NULL, chain TEXT NOT NULL,
    PRIMARY KEY (tenant, user, session)
) WITHOUT ROWID;

CREATE TABLE traces (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant BLOB NOT NULL, user BLOB NOT NULL, id TEXT NOT NULL,
    session BLOB NOT NULL, turn TEXT NOT NULL, body BLOB NOT NULL,
    UNIQUE (tenant, id)
);
CREATE INDEX traces_of ON traces (tenant, user, number);
"""


def blob(text: str) -> bytes:
    """An opaque id as bytes; also one that is not valid Unicode."""
    return text.encode("utf-8", "surrogatepass")


def text(raw: bytes) -> str:
    """The id again."""
    return raw.decode("utf-8", "surrogatepass")


def who(scope: Scope) -> tuple[bytes, bytes]:
    """The two columns that every statement about a user names: (tenant, user)."""
    return blob(scope.tenant), blob(scope.user)
