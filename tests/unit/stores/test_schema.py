"""The tables: a file of an older schema gets what it lacks, and the audit log's rows stay as they are."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.memory.stores.sqlite import Database, SqliteJournal
from gateway.tenants.records import Act, Tenant
from gateway.tenants.stores.sqlite import SqliteRegistry
from tests.contracts.samples import ADA, turn

_NEW = ("tenants", "keys", "acts", "subjects")
_ACT = Act("loopback", "operator", "POST /admin/forget", 5.0)


def columns(path: Path) -> set[str]:
    """Every statement that made something in the file."""
    with closing(sqlite3.connect(path)) as connection:
        return {row[0] for row in connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")}


async def test_a_file_of_schema_1_gets_tenants(tmp_path: Path) -> None:
    """What it holds stays, and afterwards it is as one that was just made."""
    path = tmp_path / "mneme.db"
    async with Database.open(path, durability="process") as database:
        await SqliteJournal(database).append(turn("t"))
    made = columns(path)
    with closing(sqlite3.connect(path)) as connection:
        for table in _NEW:
            connection.execute(f"DROP TABLE {table}")
        connection.execute("PRAGMA user_version=1")
    async with Database.open(path, durability="process") as database:
        await SqliteRegistry(database).keep_tenant(Tenant("acme"))
        assert await SqliteRegistry(database).tenant("acme") == Tenant("acme")
        assert [found.id for found in await SqliteJournal(database).turns(ADA, ["t"])] == ["t"]

    assert columns(path) == made


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
