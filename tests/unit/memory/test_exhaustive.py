"""A scope in arrays: scored as the model scores it, whatever was put, replaced and removed in whatever order."""

import asyncio
import gc
import math
import random
import tracemalloc
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.memory.exhaustive import Exhaustive
from gateway.memory.records import Candidate, Entry, Query, Sparse, Vector
from tests.contracts.samples import ADA, DIMENSION, entry, memory, query, vector
from tests.support.model import ModelMemories

EVERYTHING = 1_000
IDS, LETTERS = "abcdefgh", "uvwxyz"
# Their inner products are exact in every kind of arithmetic, so that equals are equal.
VECTORS = [vector(*([0.0] * n), 1) for n in range(4)] + [vector(1, s, 1, -s) for s in (1, -1)] + [vector(-1)]

words = st.text(LETTERS, max_size=4)
entries = st.builds(
    lambda id, turn, near, words, status: entry(memory(id, status=status), turn=turn, near=near, words=words),
    st.sampled_from(IDS),
    st.sampled_from(VECTORS),
    st.sampled_from(VECTORS),
    words,
    st.sampled_from(["active", "active", "archived"]),
)
changes = st.one_of(st.lists(entries, max_size=5), st.sets(st.sampled_from(IDS), max_size=3))
questions = st.builds(query, st.sampled_from(VECTORS), words)


def kept(*told: Entry) -> Exhaustive:
    """A scope with these memories."""
    scope = Exhaustive(DIMENSION)
    scope.put(told)
    return scope


def found(scope: Exhaustive, asked: Query, limit: int = EVERYTHING) -> list[str]:
    """The ids, best first."""
    return [candidate.memory.id for candidate in scope.search(asked, limit)]


def modelled(told: Sequence[Entry], asked: Query, limit: int) -> list[Candidate]:
    """What the model finds among the same memories."""
    model = ModelMemories()
    with model.open():
        asyncio.run(model.put(told))
        return asyncio.run(model.search(ADA, asked, limit))


def approximately(candidates: Sequence[Candidate]) -> dict[str, Any]:
    """Memory and signals by id."""
    return {c.memory.id: (c.memory, pytest.approx(c.signals, rel=1e-5, abs=1e-6)) for c in candidates}


def exactly(candidates: Sequence[Candidate]) -> dict[str, Any]:
    """The same, to be compared with it."""
    return {c.memory.id: (c.memory, c.signals) for c in candidates}


@settings(deadline=None, derandomize=True, max_examples=150)
@given(st.lists(changes, max_size=12), questions, st.integers(1, 5))
def test_what_changed_is_as_if_it_had_always_been_so(history: list[Any], asked: Query, limit: int) -> None:
    """Puts, replacements, archivings and removals, asked in between: the same as one built of what is left, in another
    order, and as the model."""
    scope, left = Exhaustive(DIMENSION), dict[str, Entry]()
    for change in history:
        if isinstance(change, list):
            scope.put(change)
            left |= {e.memory.id: e for e in change}
        else:
            scope.remove(change)
            left = {id: e for id, e in left.items() if id not in change}
        scope.search(asked, limit)
    anew = kept(*sorted(left.values(), key=lambda e: e.memory.id, reverse=True))

    assert len(scope) == len(anew) == len([e for e in left.values() if e.memory.status == "active"])
    assert scope.search(asked, limit) == anew.search(asked, limit)
    assert scope.search(asked, EVERYTHING) == anew.search(asked, EVERYTHING)
    assert approximately(scope.search(asked, EVERYTHING)) == exactly(modelled([*left.values()], asked, EVERYTHING))


def talk(dice: random.Random, ids: Sequence[str]) -> Iterator[Entry]:
    """Memories of random vectors and weights, as real ones are."""
    for id in ids:
        found = sorted(dice.sample(range(2**32), 3) + dice.sample(range(60), 6))
        terms = Sparse(tuple(found), tuple(dice.uniform(0.5, 2) for _ in found))
        turn, near = somewhere(dice), somewhere(dice)
        yield Entry(memory(id), {"turn": turn, "near": near}, {"turn": terms, "near": terms})


def somewhere(dice: random.Random) -> Vector:
    """A direction."""
    return vector(*(dice.gauss(0, 1) for _ in range(DIMENSION)))


@pytest.mark.parametrize("limit", [1, 3, 10, 200])
def test_a_long_talk_is_scored_as_the_model_scores_it(limit: int) -> None:
    """Hundreds of memories that came in small portions and were replaced over and over: the same in the same order."""
    dice, left = random.Random(limit), dict[str, Entry]()
    scope = Exhaustive(DIMENSION)
    for start in range(0, 200, 2):
        told = [*talk(dice, [f"m{n}" for n in range(max(start - 8, 0), start + 2)])]
        scope.put(told)
        left |= {e.memory.id: e for e in told}
    terms = tuple(dice.sample(range(60), 8))
    asked = Query(somewhere(dice), Sparse(terms, (1.0,) * len(terms)))

    expected = modelled([*left.values()], asked, limit)
    assert found(scope, asked, limit) == [c.memory.id for c in expected]
    assert approximately(scope.search(asked, limit)) == exactly(expected)


def test_of_an_empty_scope_nothing_is_found() -> None:
    """Neither before anything was put nor after everything was removed."""
    scope = kept()
    assert scope.search(query(vector(1), "a"), 5) == []
    scope.put([entry(memory("m"), words="a")])
    scope.remove(["m"])
    assert scope.search(query(vector(1), "a"), 5) == []
    assert len(scope) == 0


def test_only_the_best_of_a_signal_are_looked_at() -> None:
    """What no signal has among its `limit` best is not found, however good its sum."""
    scope = kept(
        entry(memory("turn"), turn=vector(1), near=vector(-1)),
        entry(memory("near"), turn=vector(-1), near=vector(1)),
        entry(memory("second twice"), turn=vector(1, 0.1), near=vector(1, 0.1)),
    )

    assert found(scope, query(vector(1)), 1) == ["near"]
    assert found(scope, query(vector(1)), 2) == ["second twice", "near"]


def test_no_signal_is_missing() -> None:
    """Also of a memory that only one signal has among its best."""
    scope = kept(
        *(entry(memory(f"m{n}"), turn=vector(1, n), near=vector(1, n), words="b") for n in range(9)),
        entry(memory("words"), turn=vector(0, 1), near=vector(-1), words="ab"),
    )

    (candidate,) = [c for c in scope.search(query(vector(1), "a"), 2) if c.memory.id == "words"]
    assert candidate.signals == {
        "dense_turn": 0.0,
        "dense_near": -1.0,
        "bm25_turn": pytest.approx(math.log(1 + 9.5 / 1.5)),
        "bm25_near": pytest.approx(math.log(1 + 9.5 / 1.5)),
    }


def test_what_was_removed_is_nowhere() -> None:
    """Neither its words nor its vectors, nor those it had before it was replaced."""
    former, latter, other = (np.array(vector(*parts), np.float32) for parts in ((0, 1), (0, 0, 1), (1,)))
    scope = kept(
        entry(memory("gone", text="canary"), turn=former.tolist(), words="x"), entry(memory("stays"), words="a")
    )
    scope.put([entry(memory("gone", text="canary again"), turn=latter.tolist(), words="y")])
    scope.remove(["gone"])

    texts, arrays = held(scope)
    assert not [text for text in texts if "canary" in text]
    assert not [a for a in arrays if a.dtype == np.uint32 and {ord("x"), ord("y")} & {*a.tolist()}]
    rows = [row for a in arrays if a.ndim == 2 for row in a.tolist()]
    assert other.tolist() in rows
    assert former.tolist() not in rows and latter.tolist() not in rows


def test_what_was_archived_and_then_removed_is_nowhere() -> None:
    """It is no longer found when it goes, and must go all the same."""
    gone = np.array(vector(0, 1), np.float32)
    scope = kept(entry(memory("gone"), turn=gone.tolist()), entry(memory("stays")))
    scope.put([entry(memory("gone", status="archived"))])
    scope.remove(["gone"])

    assert gone.tolist() not in [row for array in held(scope)[1] if array.ndim == 2 for row in array.tolist()]


def held(root: object) -> tuple[list[str], list[np.ndarray[Any, Any]]]:
    """All strings and arrays that can be reached from an object by way of data."""
    seen: dict[int, object] = {}
    due = [root]
    while due:
        one = due.pop()
        if id(one) not in seen and not isinstance(one, type) and not callable(one):
            seen[id(one)] = one
            due += gc.get_referents(one)
    known = [*seen.values()]
    return [x for x in known if isinstance(x, str)], [x for x in known if isinstance(x, np.ndarray)]


def test_a_memory_takes_some_kilobytes() -> None:
    """Besides itself: two vectors of 384 dimensions, and 12 bytes for each term of a turn (20) and of what stands
    around it (60). Also after each was replaced several times, as neighbours are."""
    dice = random.Random(0)
    shared: Vector = [dice.gauss(0, 0.05) for _ in range(384)]
    turn, near = (Sparse(tuple(range(n)), (1.0,) * n) for n in (20, 60))
    memories = [memory(f"m{n}") for n in range(1_000)]
    scope = Exhaustive(384)
    tracemalloc.start()
    for _ in range(4):
        for at in range(0, len(memories), 50):
            told = [
                Entry(m, {"turn": shared, "near": shared}, {"turn": turn, "near": near}) for m in memories[at : at + 50]
            ]
            scope.put(told)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    needed = 2 * 384 * 4 + 80 * 12
    assert needed < taken / len(memories) < 2.6 * needed
