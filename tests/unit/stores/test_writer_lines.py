"""What the writer tells of its work: how long turns waited, and of its troubles the kind and no text."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.logs import Json
from gateway.memory.curate import Curator
from gateway.memory.policies.verbatim import Verbatim
from gateway.memory.records import Vector
from gateway.memory.reflect import Writer
from gateway.memory.stores.edge import EdgeStore
from gateway.memory.stores.sqlite import Database, SqliteJournal, SqliteSessions
from tests.support.embeddings import DIMENSION
from tests.support.model import Clock
from tests.support.planner import unthinking
from tests.unit.stores.house import House, Words

SAID = "nobody's business"


@dataclass
class Quoting(Words):
    """An embedder with a bug: its error holds what it choked on."""

    quoting: bool = False

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """See ports.Embedder."""
        if self.quoting:
            raise IndexError(texts[0])
        return await super().embed(texts)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """Real stores in a directory of their own."""
    clock, words = Clock(), Quoting()
    async with (
        Database.open(tmp_path / "mneme.db", durability="process") as database,
        EdgeStore.open(tmp_path / "memories", embedder_identity="words", dimension=DIMENSION) as memories,
    ):
        journal, sessions = SqliteJournal(database, clock), SqliteSessions(database, trace_limit=100)
        curator = Curator(memories, sessions, journal, words, Verbatim(), clock, unthinking())
        yield House(curator, memories, sessions, journal, words, clock)


async def finished(house: House) -> list[float]:
    """A writer does what is due; how long after their questions the turns were indexed."""
    told: list[float] = []

    def reflected(seconds: float, lags: Sequence[float]) -> None:
        assert seconds > 0
        told.extend(lags)

    writer = Writer(house.curator, house.journal, lambda result, number: None, idle=0.01, reflected=reflected)
    writer.stop()
    await writer.run()
    return told


async def test_every_turn_tells_how_long_it_waited(house: House) -> None:
    """From its question, in seconds; the turns of this house were said at second 1."""
    await house.say("one", "two")
    house.clock.now = 4.5

    assert await finished(house) == [3.5, 3.5]


async def test_a_turn_that_fails_is_told_by_its_kind(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """And by its stack, for it is a bug; never by what the error says, which may be the turn's own text."""
    await house.say(SAID)
    assert isinstance(house.words, Quoting)
    house.words.quoting = True

    assert await finished(house) == []
    written = "".join(Json().format(line) for line in caplog.records)
    assert ("IndexError" in written, "test_writer_lines.py" in written) == (True, True)
    assert SAID not in written
