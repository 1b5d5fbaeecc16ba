"""Indexing, editing, deleting and forgetting through real stores, with an embedder that fails on demand."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.errors import MemoryUnavailable
from gateway.memory.curate import Curator
from gateway.memory.policies.verbatim import Verbatim
from gateway.memory.recall import Recaller
from gateway.memory.records import Lag, Memory, Scope
from gateway.memory.stores.edge import EdgeStore
from gateway.memory.stores.sqlite import Database, SqliteJournal, SqliteSessions
from tests.contracts.samples import ADA, BOB, memory, placed, query
from tests.support.embeddings import DIMENSION, hashed
from tests.support.model import Clock, dot
from tests.support.planner import unthinking
from tests.unit.stores.house import House, Words, written


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """Real stores in a directory of their own."""
    clock, words = Clock(), Words()
    async with (
        Database.open(tmp_path / "mneme.db", durability="process") as database,
        EdgeStore.open(tmp_path / "memories", embedder_identity="words", dimension=DIMENSION) as memories,
    ):
        journal, sessions = SqliteJournal(database, clock), SqliteSessions(database, trace_limit=100)
        curator = Curator(memories, sessions, journal, words, Verbatim(), clock, unthinking())
        yield House(curator, memories, sessions, journal, words, clock)


async def test_turns_are_indexed_in_order(house: House) -> None:
    """Every user's and session's, and the journal knows it."""
    await house.say("one", "two")
    await house.say("three", scope=BOB)

    assert len(await house.curator.index(10)) == 3

    assert await house.said() == ["one", "two"]
    assert await house.said(BOB) == ["three"]
    assert await house.journal.lag() == Lag(0, 0, 0.0)


async def test_users_are_indexed_beside_each_other(house: House) -> None:
    """A few at a time, so that one's store is waited for while another's words are embedded; a user's own sessions one
    after the other."""
    for user in ("one", "two", "three", "four", "five"):
        await house.say(f"{user} first", scope=Scope("acme", user), session="first")
        await house.say(f"{user} second", scope=Scope("acme", user), session="second")
    house.words.gate = asyncio.Event()

    async with asyncio.TaskGroup() as tasks:
        indexing = tasks.create_task(house.curator.index(10))
        async with asyncio.timeout(30):
            while len(house.words.asked) < 4:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert sorted(house.words.asked) == ["four first", "one first", "three first", "two first"]
        house.words.gate.set()

    assert len(indexing.result()) == 10
    assert await house.said(Scope("acme", "five")) == ["five first", "five second"]


async def test_what_ails_one_user_s_turn_is_told_as_it_is(house: House) -> None:
    """One error, not a group of them, and no turn of the batch is marked as indexed."""
    await house.say("alpha")
    await house.say("poison", scope=BOB)

    with pytest.raises(IndexError, match="poison"):
        await house.curator.index(10)

    assert (await house.journal.lag()).pending == 2


async def test_earlier_neighbours_are_indexed_anew(house: House) -> None:
    """A turn becomes part of the neighbourhood of those before it, within the radius and the session."""
    await house.say("alpha", "beta", "gamma")
    await house.say("elsewhere", session="other")
    await house.curator.index(10)
    assert await house.near("zeta") == set()

    await house.say("zeta")
    await house.curator.index(10)

    assert await house.near("zeta") == {"beta", "gamma", "zeta"}


async def test_neighbourhoods_do_not_depend_on_the_batches(house: House) -> None:
    """Turn by turn or all at once, every turn ends with the same two vectors."""
    texts = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta"]
    for text in texts:
        await house.say(text, session="one by one")
        await house.curator.index(1)
    await house.say(*texts, session="at once")
    await house.curator.index(100)

    (vector,) = await house.words.embed(["gamma epsilon"])
    found = await house.memories.search(ADA, query(vector), 100)
    scores = {(c.memory.session, c.memory.text): c.signals for c in found}
    for text in texts:
        assert scores["one by one", text] == pytest.approx(scores["at once", text])


async def test_indexing_twice_changes_nothing(house: House) -> None:
    """A turn told again is the same memory."""
    await house.say("alpha", "beta", "gamma")
    await house.curator.index(10)
    before = (await house.memories.browse(ADA)).items
    await house.say("alpha", "beta", "gamma")

    assert len(await house.curator.index(10)) == 3
    assert (await house.memories.browse(ADA)).items == before
    assert await house.near("beta") == {"alpha", "beta", "gamma"}


async def test_a_poisonous_turn_holds_up_nobody(house: House) -> None:
    """The others are indexed at once; it is tried again and again, and ends as a dead letter with its reason."""
    await house.say("alpha", "poison", "beta")
    await house.say("gamma", scope=BOB)

    async with written(house), asyncio.timeout(60):
        while (await house.journal.lag()).dead == 0:
            house.clock.now += 1
            await asyncio.sleep(0.01)

    assert await house.said() == ["alpha", "beta"]
    assert await house.said(BOB) == ["gamma"]
    (letter,) = (await house.journal.dead()).items
    assert letter.turn.user_text == "poison"
    assert letter.error == "IndexError: poison"
    assert house.counts == {"indexed": 3, "failed": letter.attempts - 1, "dead": 1}


async def test_a_dead_letter_replayed_is_indexed(house: House) -> None:
    """Once what ailed it is gone."""
    (turn,) = await house.say("poison")
    async with written(house), asyncio.timeout(60):
        while (await house.journal.lag()).dead == 0:
            house.clock.now += 1
            await asyncio.sleep(0.01)
    await house.journal.append(replace(turn, user_text="healed"))
    await house.journal.replay([])
    async with written(house):
        pass

    assert await house.said() == ["healed"]


async def test_while_memory_is_away_nothing_is_marked_or_counted(house: House) -> None:
    """However often it is tried; when it is back everything is indexed."""
    await house.say("alpha", "beta")
    house.words.away = True
    async with written(house):
        for _ in range(20):
            house.clock.now += 10
            await asyncio.sleep(0.01)
    assert await house.journal.lag() == Lag(2, 0, 200.0)
    assert house.counts == {}

    house.words.away = False
    async with written(house):
        pass

    assert await house.said() == ["alpha", "beta"]


async def test_memory_that_goes_away_in_the_middle_is_no_turn_s_fault(house: House) -> None:
    """It answered when it was looked at, and not when the turns were written: no try is counted."""
    await house.say("alpha", "beta")
    house.words.leaving = True
    async with written(house):
        for _ in range(20):
            house.clock.now += 10
            house.words.away = False
            await asyncio.sleep(0.02)
        assert (await house.journal.lag()).dead == 0
        house.words.leaving = house.words.away = False

    assert await house.said() == ["alpha", "beta"]
    assert house.counts == {"indexed": 2}


async def test_a_slow_store_makes_no_dead_letters(house: House) -> None:
    """It answers whoever looks whether it is there, and gives up at every write: turns wait for as long as that is."""
    await house.say("alpha", "beta")
    house.words.slow = True
    async with written(house), asyncio.timeout(60):
        while house.counts.get("failed", 0) < 20:
            house.clock.now += 10
            await asyncio.sleep(0.01)
        assert (await house.journal.lag()).dead == 0
        house.words.slow = False
        house.clock.now += 10

    assert await house.said() == ["alpha", "beta"]


async def test_a_turn_is_recalled_before_it_is_indexed(house: House) -> None:
    """Read your writes, and once it is indexed it is not found twice."""
    recaller = Recaller(house.memories, house.journal, house.words, 5.0)
    await house.say("my sister keeps bees")
    before = await recaller.recall(Verbatim(), ADA, "sister bees", 2.0)
    await house.curator.index(10)
    after = await recaller.recall(Verbatim(), ADA, "sister bees", 2.0)

    assert [hit.memory.text for hit in before.hits] == ["my sister keeps bees"]
    assert [hit.memory.id for hit in after.hits] == [hit.memory.id for hit in before.hits]


async def test_an_edit_outlives_the_turn_told_again(house: House) -> None:
    """A client that repeats itself does not undo what the user mended."""
    (turn,) = await house.say("I live in Riga")
    await house.curator.index(10)
    await house.curator.edit(ADA, turn.id, lambda m: replace(m, text="I live in Oslo"))
    await house.journal.append(turn)
    await house.curator.index(10)

    (left,) = (await house.memories.browse(ADA)).items
    assert (left.text, left.version) == ("I live in Oslo", 2)


async def test_an_edit_changes_what_is_found(house: House) -> None:
    """The vectors, the neighbours' vectors and the version; what was injected of the former text is not replayed."""
    first, second = await house.say("alpha", "beta")
    await house.curator.index(10)
    await house.sessions.place(ADA, "chain", placed("t", first.id))

    changed = await house.curator.edit(ADA, first.id, lambda m: replace(m, text="omega"))

    assert changed is not None
    assert [(f.version, f.text) for f in changed.former] == [(1, "alpha")]
    assert await house.near("omega") == {"omega", "beta"}
    assert await house.near("alpha") == set()
    assert (await house.sessions.placed(ADA, ["chain"]))["chain"].text == ""
    assert await house.curator.edit(ADA, "nobody", lambda m: m) is None
    assert second.id != first.id


async def test_a_change_of_no_words_asks_no_embedder(house: House) -> None:
    """A status or a pin makes the next version, and leaves the vectors, also those of the neighbours."""
    first, _ = await house.say("alpha", "beta")
    await house.curator.index(10)
    await house.sessions.place(ADA, "chain", placed("t", first.id))
    house.words.away = True

    archived = await house.curator.edit(ADA, first.id, lambda m: replace(m, status="archived"))
    assert archived is not None
    assert (archived.version, archived.updated, archived.former) == (2, house.clock.now, ())
    assert await house.memories.get(ADA, [first.id]) == [archived]
    assert (await house.sessions.placed(ADA, ["chain"]))["chain"].text == ""
    await house.curator.edit(ADA, first.id, lambda m: replace(m, status="active", pinned=True))
    with pytest.raises(MemoryUnavailable):
        await house.curator.edit(ADA, first.id, lambda m: replace(m, text="omega"))

    house.words.away = False
    assert await house.near("alpha") == {"alpha", "beta"}
    assert await house.near("beta") == {"alpha", "beta"}


async def test_many_are_edited_at_once(house: House) -> None:
    """Only those of which the change makes something else; ids that are nobody's are passed over."""
    turns = await house.say("alpha", "beta", "gamma")
    await house.curator.index(10)
    ids = [turn.id for turn in turns]
    await house.curator.edit(ADA, ids[0], lambda m: replace(m, pinned=True))

    assert await house.curator.edit_all(ADA, [*ids, "nobody"], lambda m: replace(m, pinned=True)) == 2
    assert await house.curator.edit_all(BOB, ids, lambda m: replace(m, pinned=False)) == 0
    assert [(m.pinned, m.version) for m in await house.memories.get(ADA, ids)] == [(True, 2)] * 3


async def test_a_deletion_leaves_no_trace_in_the_neighbours(house: House) -> None:
    """Nor in the journal; the embedder forgets as well."""
    first, second = await house.say("alpha", "beta")
    await house.curator.index(10)

    assert await house.curator.delete(ADA, [first.id]) == 1

    assert await house.said() == ["beta"]
    assert await house.near("alpha") == set()
    assert await house.journal.turns(ADA, [first.id, second.id]) == [second]
    assert house.words.forgot > 0


async def test_a_deleted_turn_that_was_waiting_is_not_indexed(house: House) -> None:
    """It goes from the journal before the writer gets to it, and counts."""
    (turn,) = await house.say("alpha")

    assert await house.curator.delete(ADA, [turn.id, turn.id]) == 1

    await house.curator.index(10)

    assert await house.said() == []
    assert await house.journal.count(ADA) == 0


async def test_a_turn_deleted_while_it_is_being_indexed_does_not_come_back(house: House) -> None:
    """The deletion waits for the writer, and takes what it wrote."""
    (turn,) = await house.say("alpha")
    house.words.gate = asyncio.Event()
    indexing = asyncio.create_task(house.curator.index(10))
    while not house.words.asked:
        await asyncio.sleep(0)
    deleting = asyncio.create_task(house.curator.delete(ADA, [turn.id]))
    await asyncio.sleep(0)
    house.words.gate.set()

    assert len(await indexing) == 1
    assert await deleting == 1
    assert await house.said() == []
    assert await house.curator.index(10) == ()


async def test_a_piece_of_a_long_turn_leaves_the_other_pieces(house: House) -> None:
    """They are each other's neighbourhood, until one is deleted or edited."""
    words = ["alpha", "beta", "gamma"]
    await house.say("\n\n".join(f"{word} " * 110 for word in words))
    await house.curator.index(10)
    line = await house.memories.neighbours(ADA, "s", 1, 1, 0)
    assert [m.text.split()[0] for m in line] == words
    assert len(await house.near("beta")) == 3

    await house.curator.edit(ADA, line[1].id, lambda m: replace(m, text="omega"))
    assert (len(await house.near("beta")), len(await house.near("omega"))) == (0, 3)
    assert len(await house.near("alpha")) == 3

    await house.curator.delete(ADA, [line[0].id])
    assert await house.near("alpha") == set()
    assert len(await house.near("gamma")) == 2


async def test_a_deletion_that_fails_half_way_can_be_repeated(house: House) -> None:
    """Nothing of it stays behind that only the deleted memory could lead to."""
    first, _ = await house.say("alpha", "beta")
    await house.curator.index(10)
    house.words.away = True
    with pytest.raises(MemoryUnavailable):
        await house.curator.delete(ADA, [first.id])
    house.words.away = False

    assert await house.curator.delete(ADA, [first.id]) == 1
    assert await house.near("alpha") == set()


async def test_what_has_no_place_in_a_session_stands_alone(house: House) -> None:
    """An import without seq: neither each other's neighbours nor anybody's."""
    await house.say("alpha")
    await house.curator.index(10)
    await house.curator.add([memory(word, text=word, seq=0) for word in ("omega", "psi")])

    assert [await house.near(word) for word in ("omega", "psi", "alpha")] == [{"omega"}, {"psi"}, {"alpha"}]


async def test_forget_counts_what_every_store_held(house: House) -> None:
    """And leaves nothing, not even in the embedder's cache."""
    (turn, _) = await house.say("alpha", "beta")
    await house.curator.index(10)
    await house.say("waiting")
    await house.sessions.place(ADA, "chain", placed(turn.id, turn.id))

    assert await house.curator.forget(ADA) == {"turns": 3, "memories": 2, "sessions": 1, "thoughts": 0}

    assert await house.curator.forget(ADA) == dict.fromkeys(["turns", "memories", "sessions", "thoughts"], 0)
    assert await house.curator.index(10) == ()
    assert house.words.forgot == 2


async def test_changes_race_with_the_writer_and_none_is_lost(house: House) -> None:
    """Edits, deletions and a forgetting among turns that are being indexed."""
    turns = await house.say(*(f"turn {number}" for number in range(12)))
    await house.curator.index(100)
    await house.say(*(f"bob {number}" for number in range(4)), scope=BOB)

    async def more() -> None:
        for number in range(12):
            await house.say(f"later {number}")

    def mended(old: Memory) -> Memory:
        return replace(old, text=f"mended {old.text}")

    async with written(house):
        await asyncio.gather(
            more(),
            *(house.curator.edit(ADA, turn.id, mended) for turn in turns[:4]),
            house.curator.delete(ADA, [turn.id for turn in turns[4:8]]),
            house.curator.forget(BOB),
        )

    said = await house.said()
    assert sorted(said) == sorted(
        [f"mended turn {n}" for n in range(4)] + [f"turn {n}" for n in range(8, 12)] + [f"later {n}" for n in range(12)]
    )
    assert await house.said(BOB) == []
    assert await house.journal.lag() == Lag(0, 0, 0.0)


async def test_a_note_stands_alone(house: House) -> None:
    """It is no part of any turn's neighbourhood."""
    await house.say("alpha")
    await house.curator.index(10)
    await house.curator.add([memory("note", text="omega", kind="note", seq=1)])

    assert await house.near("omega") == {"omega"}
    assert dot(hashed("omega"), hashed("alpha")) == 0
