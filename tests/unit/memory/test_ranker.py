"""What the ranker prefers, when it keeps silent, and that no text upsets it."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gateway.memory.policies.ranker import SIGNALS, Weights, judge
from gateway.memory.records import Candidate, Hit, Memory, Scope

SCOPE = Scope("t", "u")


def turn(text: str, seq: int, *, session: str = "s", dense: float = 0.4, words: float = 1.0) -> Candidate:
    """A candidate that all four signals found."""
    memory = Memory(f"{session}{seq:03}", SCOPE, session, text, seq=seq)
    return Candidate(memory, {"dense_turn": dense, "dense_near": dense, "bm25_turn": words, "bm25_near": words})


def ranked(question: str, candidates: Sequence[Candidate]) -> list[str]:
    """The texts, best first."""
    return [hit.memory.text for hit in judge(question, candidates, Weights())]


def kept(hits: Sequence[Hit]) -> list[str]:
    """The texts that may enter the prompt."""
    return [hit.memory.text for hit in hits if not hit.dropped]


def test_nothing_found_is_nothing_ranked() -> None:
    """No candidates, no hits."""
    assert judge("Where?", [], Weights()) == []


def test_what_is_alike_in_meaning_and_words_enters() -> None:
    """One memory that answers the question is kept."""
    found = [turn("My sister Ada keeps bees in Riga.", 1, dense=0.7, words=2.0), turn("I had soup.", 2, dense=0.05)]

    assert kept(judge("Where does my sister keep bees?", found, Weights())) == ["My sister Ada keeps bees in Riga."]


def test_an_unrelated_question_meets_silence() -> None:
    """Low cosines and no shared word: everything is dropped, and the reason says why."""
    found = [turn(f"Ada keeps bees, part {n}.", n, dense=0.1, words=0.0) for n in range(1, 20)]

    assert {hit.dropped for hit in judge("What is the boiling point of lead?", found, Weights())} == {
        "nothing here helps"
    }


def test_a_silent_gate_can_be_opened_by_its_threshold() -> None:
    """The gate, and nothing else, silenced that question."""
    found = [turn(f"Ada keeps bees, part {n}.", n, dense=0.1, words=0.0) for n in range(1, 20)]
    open_gate = replace(Weights(), gate_odds=-100.0, cut_odds=-100.0)

    assert len(kept(judge("What is the boiling point of lead?", found, open_gate))) == 19


def test_who_is_named_is_heard_first() -> None:
    """Of two equal turns, the one of the speaker whom the question names comes first."""
    found = [turn("Bob: I ran to the lake.", 1, session="a"), turn("Ada: I ran to the lake.", 2, session="b")]

    assert ranked("Where did Ada run?", found)[0] == "Ada: I ran to the lake."


def test_an_answer_comes_before_its_question() -> None:
    """A turn that asks is poor evidence; the turn after it is good evidence."""
    found = [turn("Which pet keeps you company at home?", 1), turn("A parrot called Kiki.", 2)]

    assert ranked("Which pet is there?", found) == ["A parrot called Kiki.", "Which pet keeps you company at home?"]


def test_a_question_for_a_time_prefers_turns_that_tell_one() -> None:
    """`When` lifts the turn with a time word."""
    found = [turn("The race was long.", 1, session="a"), turn("The race was yesterday.", 2, session="b")]

    assert ranked("When was the race?", found)[0] == "The race was yesterday."


def test_a_turn_gains_by_the_words_around_it() -> None:
    """Words of the question that only the neighbour holds keep a turn in."""
    found = [
        turn("What did you name the parrot that your aunt gave you?", 1, dense=0.5, words=3.0),
        turn("Kiki!", 2, dense=0.35, words=1.0),
        *(turn(f"Nothing of note, {n}.", n, session="z", dense=0.05, words=0.0) for n in range(3, 12)),
    ]

    assert "Kiki!" in kept(judge("What is the name of the parrot?", found, Weights()))


def test_a_signal_that_found_nothing_is_no_obstacle() -> None:
    """Turns that words alone found are ranked."""
    memory = Memory("m", SCOPE, "s", "bees in Riga")

    assert len(judge("bees?", [Candidate(memory, {"bm25_turn": 2.0})], Weights())) == 1


@given(st.permutations([turn(f"Bees and number {n}", n, dense=n / 20, words=n % 3) for n in range(12)]))
def test_the_order_of_the_candidates_does_not_matter(found: list[Candidate]) -> None:
    """The same candidates give the same hits."""
    assert judge("bees", found, Weights()) == judge("bees", sorted(found, key=lambda c: c.memory.id), Weights())


@given(
    st.text(max_size=80),
    st.lists(
        st.tuples(
            st.text(max_size=80),
            st.sampled_from(["a", "b"]),
            st.dictionaries(st.sampled_from(SIGNALS), st.floats(0, 30), max_size=4),
        ),
        max_size=120,
    ),
)
def test_no_text_upsets_it(question: str, told: list[tuple[str, str, dict[str, float]]]) -> None:
    """Any text in any script, any mixture of signals: at most sixty hits, sorted, each one of the candidates."""
    found = [Candidate(Memory(str(n), SCOPE, s, text, seq=n), signals) for n, (text, s, signals) in enumerate(told)]

    hits = judge(question, found, Weights())

    assert len(hits) <= min(len(found), 60)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert {hit.memory.id for hit in hits} <= {candidate.memory.id for candidate in found}


def test_asking_the_same_again_is_no_evidence() -> None:
    """Turns that only asked so before, answered with nothing new, do not crowd out the fact."""
    asked = [turn(f"Question {n}: where does my sister keep her bees?", n, dense=0.95, words=5.0) for n in range(2, 30)]
    found = [turn("My sister Ada keeps bees in Riga.", 1, dense=0.7, words=3.0), *asked]

    assert ranked("Question 40: where does my sister keep her bees?", found) == ["My sister Ada keeps bees in Riga."]


def test_a_question_that_was_answered_with_something_new_is_evidence() -> None:
    """The assistant's answer may be the only place where it stands."""
    memory = Memory(
        "m", SCOPE, "s", "What shall I call my bakery?", reply="Crumb and Company, after the old mill.", seq=1
    )
    found = [Candidate(memory, {"dense_turn": 0.8, "dense_near": 0.8, "bm25_turn": 3.0, "bm25_near": 3.0})]

    assert kept(judge("What did you tell me to call my bakery?", found, Weights())) == ["What shall I call my bakery?"]
