"""Two indexes of real stores: every change reaches both or fails, and what was missed is made up for."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from gateway.errors import MemoryUnavailable
from gateway.memory.curate import Curator
from gateway.memory.index import Index
from gateway.memory.policies.verbatim import Verbatim
from gateway.memory.recall import Recaller
from gateway.memory.reconcile import Reconciler
from gateway.memory.records import FILLING, Standing, Vector
from gateway.memory.stores.edge import Directories, EdgeStore
from gateway.memory.stores.naming import suffixed
from gateway.memory.stores.sqlite import Database, SqliteJournal, SqliteSessions
from tests.contracts.samples import ADA, BOB, memory, query
from tests.support.embeddings import DIMENSION
from tests.support.model import Clock
from tests.support.planner import unthinking
from tests.unit.stores.house import House, Others, Words, written

OTHER = suffixed("memories", "others")


@dataclass(kw_only=True)
class Pair(House):
    """A house that is moving."""

    second: EdgeStore
    others: Others
    indexes: Directories

    @property
    def alone(self) -> Curator:
        """Who does not know that there is a second index."""
        return replace(self.curator, second=None)

    @property
    def reconciler(self) -> Reconciler:
        """It makes the second like the first."""
        second = Index(self.second, self.others)
        return Reconciler(Index(self.memories, self.words), second, self.indexes, OTHER, self.journal, Verbatim())

    async def same(self) -> bool:
        """Whether both hold the same memories."""
        pages = [await store.browse(scope) for scope in (ADA, BOB) for store in (self.memories, self.second)]
        return [page.items for page in pages[::2]] == [page.items for page in pages[1::2]]

    async def near_there(self, word: str) -> set[str]:
        """The texts whose neighbourhood, in the second index, holds the word."""
        (vector,) = await self.others.embed([word])
        found = await self.second.search(ADA, query(vector), 100)
        return {c.memory.text for c in found if c.signals["dense_near"] > 0.1}


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    """Nothing is told yet; the second index was just made."""
    clock, words, others, indexes = Clock(), Words(), Others(), Directories(tmp_path)
    await indexes.begin(OTHER)
    async with (
        Database.open(tmp_path / "mneme.db", durability="process") as database,
        EdgeStore.open(tmp_path / "memories", embedder_identity="words", dimension=DIMENSION) as memories,
        EdgeStore.open(tmp_path / OTHER, embedder_identity="others", dimension=DIMENSION) as second,
    ):
        journal, sessions = SqliteJournal(database, clock), SqliteSessions(database, trace_limit=100)
        curator = Curator(memories, sessions, journal, words, Verbatim(), clock, unthinking(), Index(second, others))
        yield Pair(curator, memories, sessions, journal, words, clock, second=second, others=others, indexes=indexes)


def put(line: str) -> int:
    """How many were put, as the line tells it."""
    return int(line.split(" put,")[0].split()[-1])


async def test_every_change_reaches_both(pair: Pair) -> None:
    """Turns, an import, an edit, a deletion; each with the vectors of its own embedder."""
    first, *_ = await pair.say("alpha", "beta", "gamma")
    await pair.curator.index(10)
    assert await pair.same()
    assert await pair.near_there("alpha") == await pair.near("alpha") == {"alpha", "beta", "gamma"}

    await pair.curator.edit(ADA, first.id, lambda m: replace(m, text="omega"))
    await pair.curator.add([memory("note", text="psi", kind="note")])
    assert await pair.same()
    assert await pair.near_there("omega") == {"omega", "beta", "gamma"}
    assert await pair.near_there("alpha") == set()

    assert await pair.curator.delete(ADA, [first.id, "note"]) == 2
    assert await pair.same()
    assert await pair.near_there("omega") == await pair.near_there("psi") == set()


async def test_a_pin_reaches_both(pair: Pair) -> None:
    """Also where the second index has not got to the memory yet."""
    first, last = await pair.say("alpha", "beta")
    await pair.curator.index(10)
    await pair.second.delete(ADA, [last.id])

    assert await pair.curator.edit_all(ADA, [first.id, last.id], lambda m: replace(m, pinned=True)) == 2
    assert await pair.same()
    assert await pair.near_there("beta") == {"alpha", "beta"}


async def test_forgetting_reaches_both_and_counts_both(pair: Pair) -> None:
    """Stores and embedders; what only the second one holds is held."""
    await pair.say("alpha", "beta")
    await pair.curator.index(10)
    await pair.memories.forget(ADA)

    all_there = {"turns": 2, "memories": 0, "second_memories": 2, "sessions": 0, "thoughts": 0}
    assert await pair.curator.held(ADA) == all_there
    assert await pair.curator.forget(ADA) == all_there
    assert not any((await pair.curator.held(ADA)).values())
    assert (pair.words.forgot, pair.others.forgot) == (1, 1)


async def test_a_deletion_reaches_what_only_the_second_holds(pair: Pair) -> None:
    """With its neighbours there: what one process no longer sees, another one reads."""
    first, _ = await pair.say("alpha", "beta")
    await pair.curator.index(10)
    await pair.alone.delete(ADA, [first.id])

    assert await pair.curator.delete(ADA, [first.id]) == 1

    assert await pair.same()
    assert await pair.near_there("alpha") == set()


async def test_while_the_second_is_away_turns_wait_and_are_recalled(pair: Pair) -> None:
    """Nothing is marked as indexed that one of them lacks, and no try is counted."""
    await pair.say("my sister keeps bees")
    pair.others.away = True
    async with written(pair):
        pass
    assert (await pair.journal.lag()).pending == 1
    assert pair.counts == {}
    recaller = Recaller(pair.memories, pair.journal, pair.words, 5.0)
    (hit,) = (await recaller.recall(Verbatim(), ADA, "sister bees", 2.0)).hits
    assert hit.memory.text == "my sister keeps bees"

    pair.others.away = False
    async with written(pair):
        pass

    assert await pair.said() == ["my sister keeps bees"]
    assert await pair.same()


async def test_an_edit_that_fails_is_not_seen(pair: Pair) -> None:
    """It fails before anything is written, whichever embedder is away."""
    (turn,) = await pair.say("alpha")
    await pair.curator.index(10)
    for embedder in (pair.words, pair.others):
        embedder.away = True
        with pytest.raises(MemoryUnavailable):
            await pair.curator.edit(ADA, turn.id, lambda m: replace(m, text="omega"))
        embedder.away = False

    assert await pair.said() == ["alpha"]
    assert await pair.same()


async def test_what_was_there_before_is_filled_in_and_verified(pair: Pair) -> None:
    """Long conversations and notes of several users, and what is told meanwhile."""
    words = [f"word{number}" for number in range(150)]
    await pair.say(*words)
    await pair.say("bob's", scope=BOB)
    while await pair.alone.index(100):
        pass
    await pair.alone.add([memory(f"note {n}", text=f"note {n}", kind="note") for n in range(40)])
    await pair.say("told meanwhile")
    await pair.curator.index(10)
    said: list[str] = []

    await pair.reconciler.run(said.append)

    assert await pair.second.count(ADA) == await pair.memories.count(ADA) == 191
    assert await pair.near_there("word70") == await pair.near("word70") >= {f"word{n}" for n in range(68, 73)}
    assert put(said[0]) >= 189
    assert said[1:] == [
        "Pass 2: 192 memories of 2 users compared: 0 put, 0 removed, 0 users not found by their own words.",
        f"Verified: both indexes agree, and {OTHER} holds everything.",
    ]
    assert Standing(OTHER, "others") in await pair.indexes.found()


async def test_a_pass_that_was_cut_is_gone_on_with(pair: Pair) -> None:
    """What it had written is not written again."""
    await pair.say(*(f"word{number}" for number in range(80)))
    await pair.alone.index(100)

    class Tiring(Others):
        async def embed(self, texts: Sequence[str]) -> list[Vector]:
            if self.asked:
                raise MemoryUnavailable("tired")
            return await super().embed(texts)

    with pytest.raises(MemoryUnavailable, match="tired"):
        await replace(pair.reconciler, second=Index(pair.second, Tiring())).run(lambda _: None)
    cut = await pair.second.count(ADA)
    said: list[str] = []
    await pair.reconciler.run(said.append)

    assert 0 < cut < 80
    assert 80 - cut <= put(said[0]) < 80
    assert "Verified" in said[-1]
    assert await pair.same()


async def test_an_index_that_was_left_is_filled_anew(pair: Pair) -> None:
    """What was forgotten, deleted and told without it is made up for, in the vectors of neighbours too."""
    turns = await pair.say("alpha", "beta", "gamma", "delta", "epsilon")
    await pair.say("bob's", scope=BOB)
    await pair.curator.index(10)
    await pair.reconciler.run(lambda _: None)
    await pair.indexes.fall_behind(OTHER)
    await pair.alone.delete(ADA, [turns[2].id])
    await pair.alone.edit(ADA, turns[0].id, lambda m: replace(m, text="omega"))
    await pair.alone.forget(BOB)
    await pair.say("zeta")
    await pair.curator.index(10)
    said: list[str] = []

    await pair.reconciler.run(said.append)

    assert put(said[0]) >= 5
    assert "2 removed" in said[0]
    assert "Verified" in said[-1]
    assert await pair.same()
    for word in ("alpha", "gamma", "omega", "zeta"):
        assert await pair.near_there(word) == await pair.near(word)


async def test_a_mark_set_meanwhile_stays(pair: Pair) -> None:
    """A process that started without the second index while a pass ran is not overlooked."""
    await pair.say("alpha")
    await pair.curator.index(10)
    left = False
    told: list[str] = []

    async def leaving() -> None:
        nonlocal left
        left = True
        await pair.indexes.fall_behind(OTHER)

    class Watched(Directories):
        async def catch_up(self, name: str, mark: str) -> bool:
            if not left:
                await leaving()
            return await super().catch_up(name, mark)

    await replace(pair.reconciler, indexes=Watched(pair.indexes._data)).run(told.append)

    assert ["0 put" in line for line in told[:3]] == [True, False, True]
    assert Standing(OTHER, "others") in await pair.indexes.found()


async def test_vectors_that_its_embedder_does_not_make_are_not_verified(pair: Pair) -> None:
    """Memories are the same in both, and no memory is found by its own words."""
    await pair.say("alpha", "beta")
    await pair.curator.index(10)
    pair.others.embed = pair.words.embed  # type: ignore[method-assign]  # the endpoint has got another model
    told: list[str] = []

    with pytest.raises(MemoryUnavailable, match="vectors that its embedder does not make"):
        await pair.reconciler.run(told.append)

    assert Standing(OTHER, "others", FILLING) in await pair.indexes.found()


async def test_passes_that_do_not_end_are_given_up(pair: Pair) -> None:
    """Somebody goes on writing only one index: that is told, and nothing is verified."""
    number = 0

    class Busy(Directories):
        async def found(self) -> list[Standing]:
            nonlocal number
            number += 1
            await pair.alone.add([memory(f"note {number}", text="note", kind="note")])
            return await super().found()

    with pytest.raises(MemoryUnavailable, match="does every process write both indexes"):
        await replace(pair.reconciler, indexes=Busy(pair.indexes._data)).run(lambda _: None)

    assert Standing(OTHER, "others", FILLING) in await pair.indexes.found()
