"""Memories that are made up for `mneme eval speed`: the same ones every time, and like those that people have."""

from itertools import islice

import numpy as np

from gateway.evals.speed.made import Maker, questions, stock, turns
from gateway.memory.records import Entry

DIMENSION = 16


def maker(users: int = 1, seed: int = 1) -> Maker:
    """Over a small stock with vectors drawn at random."""
    said = stock(50, 1)
    return Maker.of(said, np.random.default_rng(0).standard_normal((len(said), DIMENSION)).tolist(), users, seed)


def made(number: int, users: int = 1, seed: int = 1) -> list[Entry]:
    """All blocks in one."""
    return [entry for block in maker(users, seed).make(number) for entry in block]


def test_so_many_are_made_as_were_asked_for() -> None:
    """In blocks, the last one short; ids and places in the line differ."""
    entries = made(1_203)
    assert len(entries) == 1_203
    assert len({entry.memory.id for entry in entries}) == 1_203
    assert [entry.memory.seq for entry in entries] == [*range(1, 1_204)]


def test_a_seed_always_makes_the_same() -> None:
    """Another one others."""
    assert made(30) == made(30)
    assert [e.memory.text for e in made(30)] != [e.memory.text for e in made(30, seed=2)]


def test_vectors_are_of_length_one() -> None:
    """Both of a memory, as the stores expect."""
    vectors = [vector for entry in made(60) for vector in entry.dense.values()]
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_memories_that_say_the_same_lie_close_to_each_other() -> None:
    """Those that share two of their three sayings closer than those that share none."""
    entries = made(400)
    said = [frozenset(entry.memory.text.split(". ")[:3]) for entry in entries]
    rows = np.asarray([entry.dense["turn"] for entry in entries])
    likeness = rows @ rows.T
    shared = {n: [likeness[i, j] for i in range(400) for j in range(i) if len(said[i] & said[j]) == n] for n in (0, 2)}
    assert np.mean(shared[2]) > np.mean(shared[0]) + 0.3


def test_users_get_the_same_share() -> None:
    """Session by session; no session is of two users."""
    entries = made(200, users=5)
    of = [entry.memory.scope.user for entry in entries]
    assert {of.count(user) for user in of} == {40}
    assert len({(entry.memory.session, entry.memory.scope) for entry in entries}) == 10


def test_no_two_questions_are_alike() -> None:
    """So that none is answered from a cache."""
    asked = [*islice(questions(1), 2000)]
    assert len({*asked}) == len(asked)


def test_a_turn_has_about_as_many_words_as_people_say() -> None:
    """It is for the speed of indexing, which depends on it."""
    lengths = [len(text.split()) for text in islice(turns(stock(50, 1), 1), 50)]
    assert 20 < np.mean(lengths) < 40
