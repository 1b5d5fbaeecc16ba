"""Corrections: the newer statement comes first, the older one is marked, and what only looks alike stays as it was."""

import time
from dataclasses import replace

import pytest

from gateway.memory.policies.changes import settle
from gateway.memory.policies.verbatim import Verbatim
from gateway.memory.records import Candidate, Hit, Memory, Scope
from tests.unit.memory.policies.pairs import ALIKE, CHANGED, TRAPS, Pair, held_out

SCOPE = Scope("t", "u")
DAY = 86_400.0


def said(*texts: str, session: str = "", **more: object) -> list[Hit]:
    """One hit a text, on one day after the other; best first as they stand."""
    return [
        Hit(Memory(f"m{i}", SCOPE, session or f"s{i}", text, at=i * DAY, **more), 1.0 - i / 100, {})  # type: ignore[arg-type]
        for i, text in enumerate(texts)
    ]


def marks(hits: list[Hit]) -> dict[str, str]:
    """Older memory → the newer one that takes it back."""
    return {hit.memory.id: hit.superseded for hit in settle(hits) if hit.superseded}


def order(hits: list[Hit]) -> list[str]:
    """Ids in the order in which they are settled."""
    return [hit.memory.id for hit in settle(hits)]


def share(pairs: list[Pair]) -> float:
    """Of how many the newer takes the older back."""
    return sum(marks(said(*pair)) == {"m0": "m1"} for pair in pairs) / len(pairs)


@pytest.mark.parametrize("held", [False, True], ids=["tuned", "held-out"])
def test_most_corrections_are_found(held: bool) -> None:
    """In both halves of the pairs, the one that the rules were tuned on and the other."""
    pairs = [pair for pair in CHANGED if held_out(pair) == held]

    assert len(pairs) >= 35
    assert share(pairs) >= (0.75 if held else 0.9)


@pytest.mark.parametrize("held", [False, True], ids=["tuned", "held-out"])
def test_hardly_anything_else_is_marked(held: bool) -> None:
    """What adds, is about somebody else, a plan, a question or the same told again."""
    pairs = [pair for pair in ALIKE if held_out(pair) == held]

    assert len(pairs) >= 35
    assert share(pairs) <= 0.03


@pytest.mark.parametrize("pair", TRAPS, ids=" – ".join)
def test_a_known_trap_is_avoided(pair: Pair) -> None:
    """Neither by mistake nor by the way of a rule for something else."""
    assert marks(said(*pair)) == {}


def test_the_newer_takes_the_older_ones_place() -> None:
    """Before it, wherever it ranked; nothing else changes places."""
    texts = ("I like rain.", "I live in Lisbon.", "We saw a play.", "I moved to Porto.", "Bees are fine.")

    assert order(said(*texts)) == ["m0", "m3", "m1", "m2", "m4"]


def test_the_newer_stays_where_it_is_if_it_ranked_higher() -> None:
    """It needs no other place; the older one is still marked."""
    hits = said("I live in Lisbon.", "I like rain.", "I moved to Porto.")[::-1]

    assert order(hits) == ["m2", "m1", "m0"]
    assert marks(hits) == {"m0": "m2"}


def test_of_three_the_latest_comes_first() -> None:
    """Both older ones are marked by what came last."""
    hits = said("I live in Lisbon.", "I live in Porto.", "I live in Braga now.")

    assert order(hits) == ["m2", "m1", "m0"]
    assert marks(hits) == {"m0": "m2", "m1": "m2"}


def test_what_takes_back_a_hit_that_enters_enters_too() -> None:
    """The ranker's cut must not leave the outdated half of the story."""
    older, newer = said("I live in Lisbon.", "I moved to Porto.")
    settled = settle([older, replace(newer, dropped="weak evidence")])

    assert [(hit.memory.id, hit.dropped) for hit in settled] == [("m1", ""), ("m0", "")]


def test_what_stays_out_brings_nothing_in() -> None:
    """Where the policy is silent, it stays silent."""
    hits = [replace(hit, dropped="nothing here helps") for hit in said("I live in Lisbon.", "I moved to Porto.")]

    assert settle(hits) == hits


def test_different_speakers_take_nothing_back() -> None:
    """In talk between people everybody speaks of themselves."""
    assert marks(said("Ada: I live in Lisbon.", "Ben: I moved to Porto.")) == {}
    assert marks(said("Ada: I live in Lisbon.", "Ada: I moved to Porto.")) == {"m0": "m1"}


def test_a_word_before_a_colon_is_not_always_a_speaker() -> None:
    """ "Correction:" is the user's own."""
    assert marks(said("My exam is on 12 June.", "Correction: my exam is on 14 June.")) == {"m0": "m1"}


def test_a_note_takes_nothing_back() -> None:
    """An operator's words are no statement of the user's."""
    assert marks(said("I live in Lisbon.", "I moved to Porto.", kind="note")) == {}


def test_what_was_said_at_the_same_time_takes_nothing_back() -> None:
    """Nobody knows which one came later, but within one session."""
    hits = said("I live in Lisbon.", "I live in Porto.")
    together = [replace(hit, memory=replace(hit.memory, at=DAY, seq=i + 1)) for i, hit in enumerate(hits)]
    one = [replace(hit, memory=replace(hit.memory, session="s")) for hit in together]

    assert marks(together) == {}
    assert marks(one) == {"m0": "m1"}


def test_settling_twice_changes_nothing() -> None:
    """It is a fixed point, whatever the order it starts from."""
    once = settle(said(*(text for pair in CHANGED[:20] for text in pair)))

    assert settle(once) == once


@pytest.mark.parametrize(
    "hostile",
    [
        "not ",
        "I live in A. ",
        "never any more no longer ",
        "I have 3 cats. ",
        "in ",
        "my my is ",
        "used to ",
        "((",
        "? ",
    ],
)
def test_a_hostile_text_is_settled_in_good_time(hostile: str) -> None:
    """Sixty long texts of one kind take a second at most on a busy machine."""
    hits = said(*(f"I live in B{i}. " + hostile * (20_000 // len(hostile)) for i in range(60)))
    began = time.process_time()
    settle(hits)

    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "text", ["", "?", "...", "…", "Ada: ", "我住在里斯本。", "I", "my", "call", "not anymore", "I used to"]
)
def test_any_text_is_read(text: str) -> None:
    """Texts that state nothing, or stop in their middle, are nothing to settle."""
    assert marks(said(text, text + " now", text)) == {}


def test_verbatim_ranks_a_correction_first() -> None:
    """The policy's own ranking, of candidates of which the older one is more like the question."""
    scores = ((0.9, 0.8, 9.0, 9.0), (0.6, 0.7, 3.0, 6.0), (0.1, 0.1, 0.0, 0.5))
    texts = ("I live in Lisbon.", "Actually, I moved to Porto.", "It rained all day.")
    names = ("dense_turn", "dense_near", "bm25_turn", "bm25_near")
    found = [
        Candidate(hit.memory, dict(zip(names, score, strict=True)))
        for hit, score in zip(said(*texts), scores, strict=True)
    ]
    ranked = Verbatim().rank("Where do I live?", found, 9 * DAY)

    assert [hit.memory.id for hit in ranked if not hit.dropped] == ["m1", "m0"]
    assert [hit.superseded for hit in ranked[:2]] == ["", "m1"]
