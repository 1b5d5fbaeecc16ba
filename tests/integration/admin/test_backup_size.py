"""A backup takes as much memory as a page of it, however large it is; so does taking it in."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.backup.lines import Counts, encode
from gateway.memory.embedders.http import HttpEmbedder
from gateway.memory.ports import Source
from gateway.memory.records import Kept
from gateway.memory.stores import directory
from gateway.memory.stores.edge import EdgeStore
from gateway.memory.stores.sqlite import Database, SqliteJournal
from tests.contracts.samples import ADA, entry, memory, turn
from tests.support.embeddings import DIMENSION, embedding_server
from tests.support.gateway import Spawned, spawned_gateway

MANY, TAKEN = 10_000, 300
TEXT = "Bees in Riga. " * 400
ROOM = 72 << 20
"""More than a page of such turns and what the allocator keeps of it, and far less than all of them."""


def anonymous(process: asyncio.subprocess.Process) -> int:
    """Bytes of the process's memory that are in no file."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon"))


@asynccontextmanager
async def growing(gateway: Spawned) -> AsyncIterator[Callable[[], int]]:
    """By how many bytes the process has been larger than at the beginning, at most."""
    before = largest = anonymous(gateway.process)

    async def look() -> None:
        nonlocal largest
        while True:
            largest = max(largest, anonymous(gateway.process))
            await asyncio.sleep(0.02)

    looking = asyncio.create_task(look())
    try:
        yield lambda: largest - before
    finally:
        looking.cancel()


async def fill(data: Path, embedder: HttpEmbedder) -> None:
    """One user of as many turns, indexed."""
    directory.make(data)
    vector = [1.0] + [0.0] * (DIMENSION - 1)
    async with (
        Database.open(data / "mneme.db", durability="process") as database,
        EdgeStore.open(data / "memories", embedder_identity=embedder.identity, dimension=DIMENSION) as memories,
    ):
        journal = SqliteJournal(database)
        for first in range(1, MANY, 500):
            numbers = range(first, first + 500)
            await journal.put_back(ADA, [Kept(turn(f"t{n}", seq=n, user_text=TEXT), "done") for n in numbers])
            told = [memory(f"t{n}", seq=n, session=f"s{n // 10}", text=TEXT) for n in numbers]
            await memories.put([entry(each, turn=vector, near=vector, words="bees") for each in told])


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_large_backup_goes_out_and_in_through_little_memory(tmp_path: Path) -> None:
    """Neither process is ever much larger than it was at the start. What is taken in has all turns, and few memories:
    each has to be embedded."""
    file = tmp_path / "backup"
    async with embedding_server() as url, HttpEmbedder.open(Source(tmp_path, url, "words")) as embedder:
        await fill(tmp_path / "one", embedder)
        knobs: dict[str, Any] = {"embedder": "http", "embedder_url": url, "embedder_model": "words"}
        async with spawned_gateway(tmp_path / "one", **knobs) as one, httpx.AsyncClient(timeout=300) as client:
            await client.get(f"{one.url}/admin/stats")
            async with growing(one) as grown, client.stream("GET", f"{one.url}/admin/backup") as answer:
                with file.open("wb") as out:
                    async for piece in answer.aiter_raw():
                        out.write(piece)
            written = grown()
        async with spawned_gateway(tmp_path / "two", **knobs) as two, httpx.AsyncClient(timeout=300) as client:
            async with growing(two) as grown:
                taken = await client.post(f"{two.url}/admin/restore", content=fewer(file))
            read = grown()

    assert taken.json() == {"tenants": 0, "keys": 0, "turns": MANY, "memories": TAKEN, "placements": 0}
    assert file.stat().st_size > 100e6
    assert max(written, read) < ROOM


async def fewer(file: Path) -> AsyncIterator[bytes]:
    """The lines of the backup, but only so many memories."""
    memories = 0
    with file.open("rb") as held:
        for line in held:
            memories += line.startswith(b'{"memory"')
            if line.startswith(b'{"end"'):
                yield encode(Counts(turns=MANY, memories=TAKEN))
            elif memories <= TAKEN or not line.startswith(b'{"memory"'):
                yield line
