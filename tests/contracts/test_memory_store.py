"""What every MemoryStore promises."""

from dataclasses import replace
from typing import Literal

import pytest

from gateway.errors import BadRequest
from gateway.memory.filters import Filter
from gateway.memory.fuse import AT_AN_END, IN_TIME
from gateway.memory.ports import MemoryStore
from gateway.memory.records import Memory, Scope, Times
from gateway.memory.thoughts import Former, Thought
from tests.contracts.conftest import Opening
from tests.contracts.samples import ADA, BOB, IDS, NO_CURSORS, entry, memory, query, shuffled, vector


async def everything(store: MemoryStore, scope: Scope, limit: int = 50) -> list[Memory]:
    """All pages of a scope."""
    page = await store.browse(scope, limit=limit)
    found = [*page.items]
    while page.cursor is not None:
        page = await store.browse(scope, cursor=page.cursor, limit=limit)
        found += page.items
    return found


async def test_what_was_put_comes_back_whole(memories: MemoryStore) -> None:
    """Every field of a memory survives."""
    whole = Memory(
        id="m",
        scope=ADA,
        session="s\0",
        text="said \udc80 \n é",
        reply="replied",
        kind="note",
        trust="operator",
        status="archived",
        pinned=True,
        at=1.25,
        updated=2.5,
        seq=7,
        version=3,
        sources=("t1", "t2"),
        former=(Former(1, "before", 0.5),),
    )

    await memories.put([entry(whole)])

    assert await memories.get(ADA, ["m"]) == [whole]


async def test_putting_an_id_again_replaces_it(memories: MemoryStore) -> None:
    """One id, one memory."""
    await memories.put([entry(memory("m", text="old"))])
    await memories.put([entry(memory("m", text="new"))])

    assert [m.text for m in await everything(memories, ADA)] == ["new"]


async def test_putting_an_id_again_replaces_its_vectors(memories: MemoryStore) -> None:
    """The former vectors and terms find nothing any more."""
    await memories.put([entry(memory("m"), turn=vector(1), near=vector(1), words="ab")])
    await memories.put([entry(memory("m"), turn=vector(0, 1), near=vector(0, 1), words="c")])

    (found,) = await memories.search(ADA, query(vector(0, 1), "ab"), 5)
    assert found.signals == {"dense_turn": pytest.approx(1), "dense_near": pytest.approx(1)}


async def test_putting_nothing_is_nothing(memories: MemoryStore) -> None:
    """An empty batch is accepted."""
    await memories.put([])

    assert await memories.count(ADA) == 0


async def test_get_keeps_the_order_asked(memories: MemoryStore) -> None:
    """Unknown ids are left out, and an id asked twice is answered once."""
    await memories.put([entry(memory(id)) for id in "abc"])

    assert [m.id for m in await memories.get(ADA, ["c", "nobody", "a", "c"])] == ["c", "a"]


async def test_get_of_nothing_is_nothing(memories: MemoryStore) -> None:
    """No ids, no memories."""
    assert await memories.get(ADA, []) == []


async def test_ids_are_opaque(memories: MemoryStore) -> None:
    """Any string is an id, and each is its own."""
    await memories.put([entry(memory(id)) for id in IDS])

    assert [m.id for m in await memories.get(ADA, IDS)] == IDS
    assert await memories.delete(ADA, IDS[::2]) == len(IDS[::2])
    assert {m.id for m in await everything(memories, ADA)} == {*IDS[1::2]}


async def test_sessions_are_opaque_too(memories: MemoryStore) -> None:
    """A session is found under exactly its own name, also the empty one."""
    await memories.put([entry(memory(f"m{i}", session=session, seq=i)) for i, session in enumerate(IDS)])

    for i, session in enumerate(IDS):
        assert [m.id for m in (await memories.browse(ADA, Filter(session=session))).items] == [f"m{i}"]


async def test_search_tells_which_signal_found_what(memories: MemoryStore) -> None:
    """Cosine of both dense vectors; BM25 only where a term is shared."""
    await memories.put(
        [
            entry(memory("words"), turn=vector(0, 1), near=vector(0, 0, 1), words="xyz"),
            entry(memory("sense"), turn=vector(1), near=vector(1, 1)),
        ]
    )

    found = {c.memory.id: c.signals for c in await memories.search(ADA, query(vector(1), "x"), 5)}

    assert found["sense"] == {"dense_turn": pytest.approx(1), "dense_near": pytest.approx(0.5**0.5)}
    assert found["words"].keys() == {"dense_turn", "dense_near", "bm25_turn", "bm25_near"}
    assert found["words"]["bm25_turn"] > 0


async def test_search_gives_the_most_promising(memories: MemoryStore) -> None:
    """At most `limit`, the best first."""
    near = [vector(1, 0.3 * n) for n in range(9)]
    await memories.put([entry(memory(f"m{n}"), turn=near[n], near=near[n], words="abcdefgh"[n:]) for n in range(9)])

    for limit in range(1, 10):
        found = [c.memory.id for c in await memories.search(ADA, query(vector(1), "abcdefgh"), limit)]
        assert found == [f"m{n}" for n in range(limit)]


async def test_one_signal_alone_finds(memories: MemoryStore) -> None:
    """What is best by words is found beside what is best by sense, and the other way round."""
    await memories.put([entry(memory(f"m{n}"), turn=vector(1, n), near=vector(1, n)) for n in range(1, 20)])
    await memories.put([entry(memory("words"), turn=vector(-1), near=vector(-1), words="ab")])

    assert "words" in [c.memory.id for c in await memories.search(ADA, query(vector(1), "ab"), 3)]
    assert "m1" in [c.memory.id for c in await memories.search(ADA, query(vector(1), "ab"), 3)]


async def test_of_equals_the_lower_id_is_found(memories: MemoryStore) -> None:
    """The same question has the same answer, in whatever order the memories came."""
    ids = shuffled(9)
    await memories.put([entry(memory(id), words="a") for id in ids])

    assert {c.memory.id for c in await memories.search(ADA, query(vector(1), "a"), 9)} == {*ids}
    found = [c.memory.id for c in await memories.search(ADA, query(vector(1), "a"), 50)]
    assert found == sorted(ids)


async def test_rarity_is_among_ones_own(memories: MemoryStore) -> None:
    """What other users say, and what is archived or was deleted, changes no score."""
    await memories.put([entry(memory(f"m{i}"), words="ab" if i else "a") for i in range(5)])
    await memories.put([entry(memory("wordless"))])
    before = {c.memory.id: c.signals for c in await memories.search(ADA, query(vector(1), "ab"), 50)}
    await memories.put([entry(memory(f"m{i}", BOB), words="b") for i in range(50)])
    await memories.put([entry(memory(f"old{i}", status="archived"), words="b") for i in range(20)])
    await memories.put([entry(memory(f"gone{i}"), words="b") for i in range(20)])
    await memories.delete(ADA, [f"gone{i}" for i in range(20)])

    after = {c.memory.id: c.signals for c in await memories.search(ADA, query(vector(1), "ab"), 50)}
    assert after.keys() == before.keys()
    assert all(after[id] == pytest.approx(before[id], rel=1e-5) for id in before)


async def test_rare_words_weigh_more(memories: MemoryStore) -> None:
    """Rarity is the store's part of BM25."""
    await memories.put([entry(memory(f"common{i}"), words="c") for i in range(9)] + [entry(memory("rare"), words="r")])

    found = {c.memory.id: c.signals["bm25_turn"] for c in await memories.search(ADA, query(vector(1), "cr"), 20)}

    assert found["rare"] > 2 * found["common0"]


async def test_search_leaves_archived_memories_out(memories: MemoryStore) -> None:
    """Only active memories are recalled."""
    await memories.put([entry(memory("active")), entry(memory("archived", status="archived"))])

    assert [c.memory.id for c in await memories.search(ADA, query(vector(1)), 5)] == ["active"]


async def test_a_question_without_terms_is_asked_by_sense_alone(memories: MemoryStore) -> None:
    """No terms is no error."""
    await memories.put([entry(memory("m"), words="a")])

    (found,) = await memories.search(ADA, query(vector(1)), 5)
    assert found.signals.keys() == {"dense_turn", "dense_near"}


async def test_browse_filters_by_everything_given(memories: MemoryStore) -> None:
    """Filters add up."""
    await memories.put(
        [
            entry(memory("wanted", session="x", kind="note", pinned=True, status="archived")),
            entry(memory("session", session="y", kind="note", pinned=True, status="archived")),
            entry(memory("kind", session="x", kind="turn", pinned=True, status="archived")),
            entry(memory("pinned", session="x", kind="note", pinned=False, status="archived")),
            entry(memory("status", session="x", kind="note", pinned=True, status="active")),
        ]
    )

    page = await memories.browse(ADA, Filter(session="x", kind="note", pinned=True, status="archived"))
    assert [m.id for m in page.items] == ["wanted"]
    assert [m.id for m in (await memories.browse(ADA, Filter(pinned=False))).items] == ["pinned"]


async def test_browse_tells_what_a_policy_made(memories: MemoryStore) -> None:
    """Whatever the policy is called; what was said is of none."""
    names = ["scm", "SCM", "\udc80", "\\udc80"]
    made = [memory(f"of {name}", kind="fact", thought=Thought(name)) for name in names]
    await memories.put([entry(each) for each in (*made, memory("said"))])

    for name, each in zip(names, made, strict=True):
        assert (await memories.browse(ADA, Filter(policy=name))).items == (each,)
    assert (await memories.browse(ADA, Filter(policy="scm", kind="turn"))).items == ()


async def test_pages_cover_everything_once(memories: MemoryStore) -> None:
    """Whatever the page's size; the last one has no cursor."""
    ids = shuffled(23)
    await memories.put([entry(memory(id)) for id in ids])

    for limit in (1, 4, 22, 23, 24):
        assert sorted(m.id for m in await everything(memories, ADA, limit)) == sorted(ids)


async def test_pages_stand_still_while_memories_come_in(memories: MemoryStore) -> None:
    """What was there at the first page is shown exactly once, whatever is put meanwhile."""
    ids = shuffled(20)
    await memories.put([entry(memory(id)) for id in ids])
    page = await memories.browse(ADA, limit=3)
    shown = [m.id for m in page.items]
    while page.cursor is not None:
        await memories.put([entry(memory(f"new after {len(shown)} {i}")) for i in range(3)])
        page = await memories.browse(ADA, cursor=page.cursor, limit=3)
        shown += [m.id for m in page.items]

    assert sorted(id for id in shown if id in ids) == sorted(ids)
    assert len(shown) == len({*shown})


async def test_a_foreign_cursor_is_the_callers_fault(memories: MemoryStore) -> None:
    """BadRequest, not an engine's error."""
    await memories.put([entry(memory("m"))])

    for cursor in NO_CURSORS:
        with pytest.raises(BadRequest):
            await memories.browse(ADA, cursor=cursor)


async def test_neighbours_stand_on_either_side(memories: MemoryStore) -> None:
    """In seq order, at most `radius` a side, and what stands between."""
    await memories.put([entry(memory(f"m{seq}", seq=seq)) for seq in (9, 2, 7, 4, 5, 3)])

    assert [m.seq for m in await memories.neighbours(ADA, "s", 5, 5, 2)] == [3, 4, 5, 7, 9]
    assert [m.seq for m in await memories.neighbours(ADA, "s", 6, 6, 1)] == [5, 7]
    assert [m.seq for m in await memories.neighbours(ADA, "s", 3, 7, 1)] == [2, 3, 4, 5, 7, 9]
    assert [m.seq for m in await memories.neighbours(ADA, "s", 2, 2, 3)] == [2, 3, 4, 5]


async def test_the_pieces_of_a_long_turn_are_one_turn(memories: MemoryStore) -> None:
    """They come all together, in the order of their ids, and count once."""
    pieces = [entry(memory(f"{seq}{letter}", seq=seq)) for seq in (1, 2, 3) for letter in "cabed"]
    await memories.put([*pieces, entry(memory("4", seq=4)), entry(memory("5", seq=5))])

    assert [m.id for m in await memories.neighbours(ADA, "s", 4, 4, 1)] == ["3a", "3b", "3c", "3d", "3e", "4", "5"]
    assert [m.seq for m in await memories.neighbours(ADA, "s", 4, 4, 2)] == [*[2] * 5, *[3] * 5, 4, 5]
    assert [m.seq for m in await memories.neighbours(ADA, "s", 2, 2, 1)] == [*[1] * 5, *[2] * 5, *[3] * 5]


async def test_neighbours_are_turns_of_the_same_session(memories: MemoryStore) -> None:
    """Neither notes, nor what was said elsewhere, nor what has no place in the line."""
    await memories.put(
        [
            entry(memory("note", seq=1, kind="note")),
            entry(memory("placeless", seq=0)),
            entry(memory("elsewhere", seq=2, session="other")),
            entry(memory("bob's", BOB, seq=2)),
            entry(memory("turn", seq=4)),
        ]
    )

    assert [m.id for m in await memories.neighbours(ADA, "s", 3, 3, 5)] == ["turn"]


async def test_no_radius_no_neighbours(memories: MemoryStore) -> None:
    """Radius 0 is the turns asked for and nobody else."""
    await memories.put([entry(memory(f"m{seq}", seq=seq)) for seq in (1, 2, 3)])

    assert [m.seq for m in await memories.neighbours(ADA, "s", 2, 2, 0)] == [2]


async def test_delete_counts_what_existed(memories: MemoryStore) -> None:
    """Unknown ids and repetitions do not count, and a second deletion finds nothing."""
    await memories.put([entry(memory(id)) for id in "ab"])

    assert await memories.delete(ADA, ["a", "a", "nobody"]) == 1
    assert await memories.delete(ADA, ["a"]) == 0
    assert await memories.delete(ADA, []) == 0
    assert [m.id for m in await everything(memories, ADA)] == ["b"]


async def test_everything_survives_reopening(memories_of: Opening) -> None:
    """Memories, vectors and deletions."""
    async with memories_of() as store:
        await store.put([entry(memory(id), words="a") for id in "abc"])
        await store.delete(ADA, ["b"])
    async with memories_of() as store:
        found = await store.search(ADA, query(vector(1), "a"), 5)
        assert sorted(c.memory.id for c in found) == ["a", "c"]
        assert all("bm25_near" in c.signals for c in found)


async def test_an_open_store_answers(memories: MemoryStore) -> None:
    """ping raises nothing."""
    await memories.ping()


async def test_what_was_said_in_a_period_is_found_whatever_its_words(memories: MemoryStore) -> None:
    """Beside the most promising, and with its signals; what was said outside of it is not."""
    await memories.put([entry(memory(f"{n:02}", at=float(n)), turn=vector(0, 1), near=vector(0, 1)) for n in range(30)])
    await memories.put([entry(memory("near"), turn=vector(1), near=vector(1))])

    found = await memories.search(ADA, replace(query(vector(1), "a"), times=Times(((10.0, 12.0), (20.0, 21.0)))), 1)

    assert [c.memory.id for c in found[:1]] == ["near"]
    assert {c.memory.id for c in found[1:]} == {"10", "11", "20"}
    assert all("dense_near" in c.signals for c in found)


async def test_of_a_period_only_so_many_are_found_nearest_first(memories: MemoryStore) -> None:
    """A long period does not bring in everything."""
    await memories.put([entry(memory(f"{n:02}", at=5.0), near=vector(1, n / 10)) for n in range(2 * IN_TIME)])

    found = await memories.search(ADA, replace(query(vector(1), ""), times=Times(((5.0, 6.0),))), 1)

    assert {c.memory.id for c in found} == {f"{n:02}" for n in range(IN_TIME)}


@pytest.mark.parametrize(("end", "expected"), [("first", range(1, 1 + AT_AN_END)), ("last", range(31 - AT_AN_END, 31))])
async def test_the_first_and_the_last_turns_are_found(
    memories: MemoryStore, end: Literal["first", "last"], expected: range
) -> None:
    """By their place in the line; what has none is no turn."""
    await memories.put([entry(memory(f"{n:02}", seq=n), turn=vector(0, 1), near=vector(0, 1)) for n in range(1, 31)])
    await memories.put([entry(memory("near", seq=0), turn=vector(1), near=vector(1))])

    found = await memories.search(ADA, replace(query(vector(1), ""), times=Times(end=end)), 1)

    assert {c.memory.id for c in found} == {"near", *(f"{n:02}" for n in expected)}


async def test_times_find_nothing_of_others_and_nothing_archived(memories: MemoryStore) -> None:
    """The scope's filter holds for periods and ends as for signals."""
    await memories.put(
        [entry(memory("other", scope=BOB, at=5.0, seq=1)), entry(memory("gone", at=5.0, seq=2, status="archived"))]
    )

    asked = replace(query(vector(1), "a"), times=Times(((0.0, 9.0),), "first"))

    assert await memories.search(ADA, asked, 5) == []


async def test_a_look_back_finds_what_had_been_said_by_then(memories: MemoryStore) -> None:
    """Whatever became of it since, and nothing later; again and again, and what is asked of the present is as ever."""
    then = [entry(memory(status, status=status, at=5.0), words="a") for status in ("active", "archived", "superseded")]
    await memories.put([*then, entry(memory("later", at=6.0), words="a")])
    await memories.put([entry(memory("other's", scope=BOB, at=1.0), words="a")])

    for _ in range(4):
        found = await memories.search(ADA, replace(query(vector(1), "a"), as_of=5.0), 10)
        assert sorted(c.memory.id for c in found) == ["active", "archived", "superseded"]
        found = await memories.search(ADA, query(vector(1), "a"), 10)
        assert sorted(c.memory.id for c in found) == ["active", "later"]
    assert await memories.search(ADA, replace(query(vector(1), "a"), as_of=4.0), 10) == []


async def test_words_weigh_by_what_had_been_said_by_then(memories: MemoryStore) -> None:
    """A word that is common now was rare once."""
    await memories.put([entry(memory(f"{n}", at=float(n)), words="ab" if n else "a") for n in range(6)])

    async def weight(as_of: float | None) -> float:
        found = await memories.search(ADA, replace(query(vector(1), "b"), as_of=as_of), 10)
        return next(c.signals["bm25_turn"] for c in found if c.memory.id == "1")

    assert await weight(1.0) > await weight(3.0) > await weight(5.0) == pytest.approx(await weight(None), rel=1e-5)


async def test_times_of_a_look_back_are_those_before_it(memories: MemoryStore) -> None:
    """Periods and ends: what was said in them by then, archived since or not."""
    old = [memory(f"{n}", at=float(n), seq=n, status="archived") for n in range(1, 9)]
    await memories.put([entry(old[0]), *(entry(each, turn=vector(0, 1), near=vector(0, 1)) for each in old[1:])])
    asked = replace(query(vector(1), ""), as_of=4.0)

    period = await memories.search(ADA, replace(asked, times=Times(((3.0, 9.0),))), 1)
    last = await memories.search(ADA, replace(asked, times=Times(end="last")), 1)

    assert {c.memory.id for c in period} == {"1", "3", "4"}
    assert {c.memory.id for c in last} == {"1", "2", "3", "4"}
