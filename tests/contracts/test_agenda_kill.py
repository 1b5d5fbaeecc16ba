"""kill -9 in the middle of a reflection: another process finds all of it, once the lease is over, and ends it once."""

import asyncio
import sys
from pathlib import Path

import pytest

from gateway.memory.thinking import Agenda
from tests.contracts.conftest import AGENDAS, Opening
from tests.contracts.samples import ADA
from tests.contracts.test_against_model import adapters
from tests.contracts.thoughts import due, reflection
from tests.support.gateway import ROOT
from tests.support.model import Clock
from tests.support.redis_server import shared

LEASE = 60.0
CHILD = """
import asyncio, sys
from pathlib import Path
from gateway.memory.stores.redis import Connection, RedisAgenda
from gateway.memory.stores.sqlite import Database, SqliteAgenda
from tests.contracts.samples import ADA
from tests.contracts.thoughts import due, reflection

async def think(agenda, until):
    await agenda.add(ADA, [due("a"), due("b", 2)], 1.0)
    if until != "added":
        assert await agenda.claim(10.0, 60.0) == ADA
    if until in ("intended", "concluded"):
        assert await agenda.intend(ADA, reflection("r", "a"))
    if until == "concluded":
        await agenda.conclude(ADA, reflection("r", "a", state="applied"))
    print(until, flush=True)
    for number in range(1_000_000):  # it is killed in the middle of one
        await agenda.add(ADA, [due(f"more {number}", 3)], 1.0)
        await agenda.intend(ADA, reflection(f"of {number}", f"more {number}", state="applied"))

async def main():
    name, place, prefix, until = sys.argv[1:]
    if name == "redis":
        async with Connection.open(place, durability="process", prefix=prefix) as connection:
            await think(RedisAgenda(connection), until)
    async with Database.open(Path(prefix) / "mneme.db", durability="process") as database:
        await think(SqliteAgenda(database), until)

asyncio.run(main())
"""


async def killed_when(name: str, path: Path, until: str) -> None:
    """Somebody in a process of its own, killed soon after so much was acknowledged."""
    place = shared().url if name == "redis" else ""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, name, place, str(path), until, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    assert await child.stdout.readline() == f"{until}\n".encode()
    await asyncio.sleep(0.05)
    child.kill()
    await child.wait()


async def check_whole(agenda: Agenda) -> None:
    """Of what went on until the end each turn is either due or has its reflection."""
    more = [found.turn for found in await agenda.due(ADA, 1_000_000) if found.turn.startswith("more")]
    kept = (await agenda.reflections(ADA, limit=1_000_000)).items
    assert len(more) <= 1
    assert await agenda.waiting() == len(await agenda.due(ADA, 1_000_000))
    assert await agenda.count(ADA) == 2 + len(more) + 2 * len(kept) - len([one for one in kept if one.id == "r"])


@pytest.fixture(params=adapters(AGENDAS))
def name(request: pytest.FixtureRequest) -> str:
    """An adapter that outlives a process."""
    return str(request.param)


@pytest.fixture
def opening(name: str, tmp_path: Path) -> Opening:
    """Opens what the killed one had."""
    return AGENDAS[name](tmp_path, Clock())


@pytest.mark.parametrize(("until", "again"), [("added", 10.0), ("claimed", 70.0)])
async def test_what_was_not_intended_is_due_still(
    name: str, opening: Opening, tmp_path: Path, until: str, again: float
) -> None:
    """To the next who claims; not before the lease of the dead one is over, if there was one."""
    await killed_when(name, tmp_path, until)
    async with opening() as agenda:
        await check_whole(agenda)
        assert await agenda.claim(again - 0.1, LEASE) == (ADA if until == "added" else None)
        await agenda.wake(ADA, again)
        assert await agenda.claim(again, LEASE) == ADA

        assert {"a", "b"} <= {found.turn for found in await agenda.due(ADA, 10)}
        assert await agenda.intend(ADA, reflection("s", "a", "b"))


async def test_what_was_intended_is_finished_by_the_next(name: str, opening: Opening, tmp_path: Path) -> None:
    """And not thought about a second time."""
    await killed_when(name, tmp_path, "intended")
    async with opening() as agenda:
        await check_whole(agenda)
        assert await agenda.claim(69.0, LEASE) is None
        assert await agenda.claim(70.0, LEASE) == ADA

        assert await agenda.unfinished(ADA) == [reflection("r", "a")]
        assert not await agenda.intend(ADA, reflection("s", "a"))
        await agenda.conclude(ADA, reflection("r", "a", state="applied"))
        assert await agenda.unfinished(ADA) == []


async def test_what_was_concluded_is_over(name: str, opening: Opening, tmp_path: Path) -> None:
    """What is due still is all that is left to do."""
    await killed_when(name, tmp_path, "concluded")
    async with opening() as agenda:
        await check_whole(agenda)
        assert await agenda.unfinished(ADA) == []
        assert await agenda.reflection(ADA, "r") == reflection("r", "a", state="applied")
        assert await agenda.add(ADA, [due("a")], 1.0) == len(await agenda.due(ADA, 1_000_000))
