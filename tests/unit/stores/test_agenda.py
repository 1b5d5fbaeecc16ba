"""The embedded agenda's file: what is damaged in it, what leaves it, and what it no longer needs."""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.errors import MemoryUnavailable
from gateway.memory.records import Scope
from gateway.memory.reflections import Spent
from gateway.memory.stores.sqlite import Database, SqliteAgenda
from tests.contracts.samples import ADA, memory
from tests.contracts.thoughts import due, reflection

CANARY = "tweetytweety"
GONE, STAYS = Scope("acme", f"user {CANARY}"), Scope("acme", "user staying")


async def tell(agenda: SqliteAgenda, scope: Scope, word: str, count: int) -> None:
    """Of all there is, with the word in every field that takes one."""
    for number in range(count):
        id = f"{word} {number}"
        await agenda.add(scope, [due(id, policy=word, stamp=word), due(f"due {id}", stamp=word)], 1.0)
        image = memory(id, scope, word, text=word * 30, sources=(f"source {id}",))
        told = reflection(id, id, policy=word, before=(image,), after=(image,), refused=(word,), error=word)
        await agenda.intend(scope, told)
    await agenda.tried(scope)


def files_with(path: Path, word: str) -> list[str]:
    """Files that hold it."""
    return [file.name for file in path.iterdir() if word.encode() in file.read_bytes()]


def spoil(path: Path, id: str) -> None:
    """Cut the reflection's text."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE reflections SET body = substr(body, 1, 20) WHERE id = ?", (id.encode(),))
        connection.commit()


async def test_forget_leaves_no_byte_of_the_user(tmp_path: Path) -> None:
    """Between the records of another user, who keeps all of them; while it is open, and after."""
    async with Database.open(tmp_path / "mneme.db", durability="process") as database:
        agenda = SqliteAgenda(database)
        await tell(agenda, GONE, CANARY, 40)
        await tell(agenda, STAYS, "staying", 40)
        assert await agenda.claim(10.0, 60.0) == STAYS
        assert files_with(tmp_path, CANARY)

        assert await agenda.forget(GONE) == 120

        assert files_with(tmp_path, CANARY) == []
        assert await agenda.count(STAYS) == 120
    assert files_with(tmp_path, CANARY) == []
    assert files_with(tmp_path, "staying") == ["mneme.db"]


async def test_a_damaged_reflection_costs_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is left out of lists and can be erased; one that was unfinished is removed, so that its user comes to an
    end."""
    path = tmp_path / "mneme.db"
    async with Database.open(path, durability="process") as database:
        agenda = SqliteAgenda(database)
        await agenda.add(ADA, [due("a"), due("b"), due("c")], 1.0)
        for id, state in (("a", "applied"), ("b", "intended"), ("c", "applied")):
            await agenda.intend(ADA, reflection(id, id, state=state))
    spoil(path, "a")
    spoil(path, "b")
    async with Database.open(path, durability="process") as database:
        agenda = SqliteAgenda(database)
        assert [one.id for one in (await agenda.reflections(ADA)).items] == ["c"]
        with pytest.raises(MemoryUnavailable, match="damaged"):
            await agenda.reflection(ADA, "a")
        assert await agenda.claim(10.0, 1.0) == ADA
        with caplog.at_level(logging.ERROR):
            assert await agenda.unfinished(ADA) == []

        assert "1 unfinished reflections are damaged" in caplog.text
        assert await agenda.claim(1e9, 1.0) is None
        assert await agenda.erase(ADA, ["a"]) == 1
        assert await agenda.count(ADA) == 3


async def test_days_long_past_take_no_room(tmp_path: Path) -> None:
    """They go when something is spent on a later day."""
    path = tmp_path / "mneme.db"
    async with Database.open(path, durability="process") as database:
        agenda = SqliteAgenda(database)
        for day in ("2023-12-24", "2023-12-25", "2024-01-01", "2024-01-02"):
            await agenda.spend("acme", day, Spent(1, 1))
    with closing(sqlite3.connect(path)) as connection:
        assert [day for (day,) in connection.execute("SELECT day FROM spending")] == [
            "2023-12-25",
            "2024-01-01",
            "2024-01-02",
        ]


async def test_who_opens_the_file_anew_need_not_wait_for_a_lease(tmp_path: Path) -> None:
    """Whoever had claimed a user is gone with their process; who waits for their time goes on waiting."""
    path = tmp_path / "mneme.db"
    async with Database.open(path, durability="process") as database:
        agenda = SqliteAgenda(database)
        await agenda.add(GONE, [due("a")], 1.0)
        assert await agenda.claim(10.0, 600.0) == GONE
        await agenda.add(STAYS, [due("b")], 50.0)
    async with Database.open(path, durability="process") as database:
        agenda = SqliteAgenda(database)
        assert await agenda.claim(11.0, 600.0) is None
        await agenda.release()

        assert await agenda.claim(11.0, 600.0) == GONE
        assert await agenda.claim(11.0, 600.0) is None
        assert await agenda.claim(50.0, 600.0) == STAYS
