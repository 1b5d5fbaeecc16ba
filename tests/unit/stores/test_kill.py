"""kill -9 at random moments: whatever a call acknowledged is there when the stores are opened again."""

import asyncio
import random
import sys
from pathlib import Path

import pytest

from gateway.memory.stores.edge import EdgeStore
from gateway.memory.stores.sqlite import Database, SqliteJournal, SqliteSessions
from tests.contracts.samples import ADA, BOB, DIMENSION, query, vector
from tests.support.gateway import ROOT

ROUNDS = 3
CHILD = """
import asyncio, sys
from pathlib import Path
from gateway.memory.stores.edge import EdgeStore
from gateway.memory.stores.sqlite import Database, SqliteJournal, SqliteSessions
from tests.contracts.samples import ADA, BOB, DIMENSION, entry, memory, placed, turn

path, first = Path(sys.argv[1]), int(sys.argv[2])

async def turns(journal, sessions, lane):
    for number in range(first + lane, first + 1_000_000, 4):
        await sessions.place(ADA, str(number), placed(str(number)))
        await journal.append(turn(str(number)))
        print("turn", number, flush=True)

async def memories(store):
    for number in range(first, first + 1_000_000):
        await store.put([entry(memory(str(number)), words="ab")])
        print("memory", number, flush=True)
        if number % 50 == 49:
            await store.put([entry(memory("gone", BOB))])
            await store.forget(BOB)
            print("forgotten", number, flush=True)

async def main():
    async with Database.open(path / "mneme.db", durability="process") as database:
        async with EdgeStore.open(path / "memories", embedder_identity="test", dimension=DIMENSION) as store:
            journal, sessions = SqliteJournal(database), SqliteSessions(database, trace_limit=1)
            await asyncio.gather(memories(store), *(turns(journal, sessions, lane) for lane in range(4)))

asyncio.run(main())
"""


async def run_and_kill(path: Path, first: int, lines: int) -> list[list[str]]:
    """What the child acknowledged before it was killed, somewhere after so many lines."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, path, str(first), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    told = []
    try:
        for _ in range(lines):
            told.append(await child.stdout.readline())
    finally:
        child.kill()
        rest, _ = await child.communicate()
    whole = b"".join(told) + rest
    return [line.split() for line in whole[: whole.rfind(b"\n") + 1].decode().splitlines()]


@pytest.mark.slow
async def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    """Turns with their placements, and memories with all four signals; also when a rewrite was cut."""
    dice = random.Random()
    turns: set[str] = set()
    memories: set[str] = set()
    for number in range(ROUNDS):
        told = await run_and_kill(tmp_path, number * 1_000_000, dice.randrange(1, 400))
        turns |= {id for kind, id in told if kind == "turn"}
        memories |= {id for kind, id in told if kind == "memory"}
        async with (
            Database.open(tmp_path / "mneme.db", durability="process") as database,
            EdgeStore.open(tmp_path / "memories", embedder_identity="test", dimension=DIMENSION) as store,
        ):
            found = {turn.id for turn in await SqliteJournal(database).turns(ADA, [*turns])}
            assert found == turns
            assert {*await SqliteSessions(database, trace_limit=1).placed(ADA, [*turns])} == turns
            assert {memory.id for memory in await store.get(ADA, [*memories])} == memories
            for candidate in await store.search(ADA, query(vector(1), "ab"), 10_000):
                assert len(candidate.signals) == 4
            assert await store.count(BOB) <= 1

    assert turns
