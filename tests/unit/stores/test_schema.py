"""The tables: a file of an older schema gets what it lacks step by step, one of a newer one is refused, and the audit
log's rows stay as they are."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import DataDirectoryRefused
from gateway.memory.records import Turn
from gateway.memory.stores.codec import Codec
from gateway.memory.stores.sqlite import Database, SqliteJournal, SqliteSessions
from gateway.memory.stores.sqlite.schema import STEPS, prepare
from gateway.tenants.records import Act, Tenant
from gateway.tenants.stores.sqlite import SqliteRegistry
from tests.contracts.samples import ADA, turn

_ACT = Act("loopback", "operator", "POST /admin/forget", 5.0)


# What Mneme 0.1 made before there were tenants, to the letter.
_SCHEMA_1 = """
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
PRAGMA application_id=1296975181;
PRAGMA user_version=1;
"""
# And what it wrote: a turn, and what was placed at it.
_TURN = (
    b'{"id":"t","scope":{"tenant":"acme","user":"ada"},"session":"s","chain":"c1","at":1000.0,'
    b'"user_text":"My sister keeps bees.","reply_text":"Noted.","ending":"final","model":"m","trace":"","seq":0}'
)
_PLACED = (
    b'{"session":"s","turn":"t","text":"recalled","memories":["m"],"at":1000.0,"repeat":0,"pinned":false,"cut":"",'
    b'"anchored":false}'
)
_LATER = "CREATE TABLE later (x BLOB);"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file of schema 1, with a turn that waits."""
    path = tmp_path / "mneme.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(_SCHEMA_1)
        told = "INSERT INTO turns (tenant, user, id, body, since) VALUES (?, ?, ?, ?, ?)"
        connection.execute(told, (b"acme", b"ada", b"t", _TURN, 5.0))
        connection.execute(
            "INSERT INTO placements VALUES (?, ?, ?, ?, ?, ?)", (b"acme", b"ada", b"c1", b"s", 5.0, _PLACED)
        )
        connection.commit()
    return path


def made(path: Path) -> list[Any]:
    """Everything that was made in the file, and its stamps."""
    with closing(sqlite3.connect(path)) as connection:
        stamps = [connection.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version")]
        things = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
        return [*stamps, connection.execute("PRAGMA journal_mode").fetchone(), *connection.execute(things)]


async def test_an_old_file_gets_what_it_lacks(old: Path) -> None:
    """What it holds stays, and is worked on as ever."""
    async with Database.open(old, durability="process") as database:
        await SqliteRegistry(database).keep_tenant(Tenant("acme"))
        assert await SqliteRegistry(database).tenant("acme") == Tenant("acme")
        journal, sessions = SqliteJournal(database), SqliteSessions(database, trace_limit=10)
        assert (await sessions.placed(ADA, ["c1"]))["c1"].text == "recalled"
        (waiting,) = await journal.claim(5)
        assert (waiting.scope, waiting.user_text, waiting.reply_text) == (ADA, "My sister keeps bees.", "Noted.")
        await journal.done([waiting])
        assert await journal.append(turn("next")) == 2


def test_what_a_newer_mneme_added_to_a_record_is_passed_over() -> None:
    """While old and new processes run side by side, each reads what the other wrote."""
    assert Codec(Turn).decode(_TURN[:-1] + b',"mood":"merry"}') == Codec(Turn).decode(_TURN)


def test_a_new_file_is_as_an_old_one_that_was_migrated(old: Path, tmp_path: Path) -> None:
    """Every table, index and trigger, to the letter."""
    prepare(old)
    prepare(tmp_path / "new.db")

    assert made(old) == made(tmp_path / "new.db")


def test_a_file_of_the_latest_schema_stays_as_it_is(tmp_path: Path) -> None:
    """A step is taken once."""
    path = tmp_path / "mneme.db"
    prepare(path, [*STEPS, _LATER])
    before = made(path)
    prepare(path, [*STEPS, _LATER])

    assert made(path) == before


def test_steps_are_taken_in_their_order(old: Path, caplog: pytest.LogCaptureFixture) -> None:
    """From wherever the file stands, and each is logged."""
    prepare(old, [*STEPS, _LATER, "ALTER TABLE later ADD COLUMN y BLOB;"])

    assert made(old)[1] == (len(STEPS) + 2,)
    assert [record.args for record in caplog.records] == [
        ("mneme.db", number, number + 1) for number in range(1, len(STEPS) + 2)
    ]


def test_a_step_that_fails_leaves_nothing_of_itself(old: Path) -> None:
    """The steps before it count; the next start goes on from there."""
    with pytest.raises(DataDirectoryRefused):
        prepare(old, [*STEPS, f"{_LATER} CREATE TABLE turns (x BLOB);"])
    left = made(old)
    prepare(old)
    assert made(old) == left

    prepare(old, [*STEPS, _LATER])
    assert made(old)[1] == (len(STEPS) + 1,)


def test_what_a_newer_mneme_wrote_is_refused_and_left(old: Path) -> None:
    """There is no way back but a backup, and the message says so."""
    prepare(old, [*STEPS, _LATER])
    before = made(old)

    with pytest.raises(DataDirectoryRefused, match=r"newer Mneme \(schema \d+, this one reads \d+\).*backed up"):
        prepare(old)
    assert made(old) == before


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM acts",
        "UPDATE acts SET body = x''",
        "UPDATE acts SET outcome = '500'",
        "UPDATE acts SET target = 'x'",
    ],
)
async def test_the_audit_log_is_append_only(tmp_path: Path, statement: str) -> None:
    """Not even a hand at the file changes an act that is over, or removes one."""
    path = tmp_path / "mneme.db"
    async with Database.open(path, durability="process") as database:
        registry = SqliteRegistry(database)
        await registry.conclude(await registry.begin(_ACT, ""), "200")

    with closing(sqlite3.connect(path)) as connection, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)
