"""What the ranker prefers, when it keeps silent, and that no text upsets it. Times are test_moments' part."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.memory.fuse import SIGNALS
from gateway.memory.policies.ranker import Weights, examine, judge, verdicts
from gateway.memory.policies.ranker.texts import Told, asked, told
from gateway.memory.policies.ranker.weights import Cut, Gate, Order
from gateway.memory.records import Candidate, Hit, Memory, Scope
from gateway.memory.words import Words
from tests.support.words import table

SCOPE = Scope("t", "u")
NOW = 1_800_000_000.0
NONE = Words.none()
WIDE_OPEN = replace(Weights(), gate=1e-40, cut=1e-40, doubt=0.0)


def turn(text: str, seq: int, *, session: str = "s", dense: float = 0.4, words: float = 1.0) -> Candidate:
    """A candidate that all four signals found."""
    memory = Memory(f"{session}{seq:03}", SCOPE, session, text, seq=seq)
    return Candidate(memory, {"dense_turn": dense, "dense_near": dense, "bm25_turn": words, "bm25_near": words})


def ruled(
    question: str, candidates: Sequence[Candidate], weights: Weights | None = None, words: Words = NONE
) -> list[Hit]:
    """The hits, best first."""
    return judge(question, candidates, weights or Weights(), NOW, words)


def ranked(question: str, candidates: Sequence[Candidate], words: Words = NONE) -> list[str]:
    """The texts, best first."""
    return [hit.memory.text for hit in ruled(question, candidates, words=words)]


def kept(hits: Sequence[Hit]) -> list[str]:
    """The texts that may enter the prompt."""
    return [hit.memory.text for hit in hits if not hit.dropped]


def test_nothing_found_is_nothing_ranked() -> None:
    """No candidates, no hits."""
    assert ruled("Where?", []) == []


def test_what_is_alike_in_meaning_and_words_enters() -> None:
    """One memory that answers the question is kept."""
    found = [turn("My sister Ada keeps bees in Riga.", 1, dense=0.9, words=2.0), turn("I had soup.", 2, dense=0.05)]

    assert kept(ruled("Where is Ada, my sister who keeps bees?", found))[0] == "My sister Ada keeps bees in Riga."


def test_an_unrelated_question_meets_silence() -> None:
    """Low cosines and no shared word: everything is dropped, and the reason says why."""
    found = [turn(f"Ada keeps bees, part {n}.", n, dense=0.1, words=0.0) for n in range(1, 20)]

    assert {hit.dropped for hit in ruled("What is the boiling point of lead?", found)} == {"nothing here helps"}


def test_a_silent_gate_can_be_opened_by_its_threshold() -> None:
    """The gate, and nothing else, silenced that question."""
    found = [turn(f"Ada keeps bees, part {n}.", n, dense=0.1, words=0.0) for n in range(1, 20)]

    assert len(kept(ruled("What is the boiling point of lead?", found, WIDE_OPEN))) == 19


def test_behind_an_open_gate_the_cut_drops_what_is_no_evidence() -> None:
    """Among many turns that have nothing to do with the question, the one that answers it enters almost alone."""
    fact = "My sister Ada keeps bees in Riga."
    rest = [turn(f"Nothing of note on page {n}.", n, session="z", dense=0.0, words=0.0) for n in range(2, 200)]
    found = [turn(fact, 1, dense=0.95, words=9.0), *rest]
    hits = ruled("Where is Ada, my sister who keeps bees?", found, replace(WIDE_OPEN, cut=0.1))

    assert kept(hits)[0] == fact
    assert sum(hit.dropped == "weak evidence" for hit in hits) > len(rest) / 2


def test_the_less_sure_the_gate_the_more_is_cut() -> None:
    """Doubt can only take away; with much of it nothing that is not surely evidence is left."""
    fact = turn("My sister Ada keeps bees in Riga.", 1, dense=0.5, words=3.0)
    found = [fact, *(turn(f"Bees, page {n}.", n, session="z", dense=0.2, words=0.5) for n in range(2, 30))]
    entering = [
        len(kept(ruled("Where does my sister keep bees?", found, replace(WIDE_OPEN, cut=0.01, doubt=doubt, sure=99.0))))
        for doubt in (0.0, 0.05, 9.0)
    ]

    assert entering == sorted(entering, reverse=True)
    assert entering[0] > entering[-1] == 0


def test_who_is_named_is_heard_first() -> None:
    """Of two equal turns, the one of the speaker whom the question names comes first."""
    found = [turn("Bob: I ran to the lake.", 1, session="a"), turn("Ada: I ran to the lake.", 2, session="b")]

    assert ranked("Where did Ada run?", found)[0] == "Ada: I ran to the lake."


def test_a_speakers_name_is_no_word_of_the_question() -> None:
    """He says everything; a turn is not nearer to the question for being his."""
    found = [turn("Ada: I had soup.", 1, session="a"), turn("Bob: The lake is near.", 2, session="b")]
    evidence = examine("Where is the lake of Ada?", found, NOW, NONE)

    assert evidence is not None
    assert evidence.cut[1].tolist() == [0.0, 1.0]


def test_an_answer_comes_before_its_question() -> None:
    """A turn that asks is poor evidence; the turn after it is good evidence."""
    found = [turn("Which pet keeps you company at home?", 1), turn("A parrot called Kiki.", 2)]

    assert ranked("What animal is there?", found) == ["A parrot called Kiki.", "Which pet keeps you company at home?"]


def test_no_answer_is_taken_from_another_session() -> None:
    """The first turn of a session does not answer the last one of the session before."""
    found = [turn("Which pet is at home?", 1, session="a"), turn("A parrot.", 1, session="b"), turn("Or two.", 2)]
    evidence = examine("Which pet is there?", found, NOW, NONE)

    assert evidence is not None
    assert not evidence.order["answers"].any()


def test_a_question_for_a_time_prefers_turns_that_tell_one() -> None:
    """`When` lifts the turn with a time word."""
    found = [turn("The race was long.", 1, session="a"), turn("The race was yesterday.", 2, session="b")]

    assert ranked("When was the race?", found)[0] == "The race was yesterday."


def test_another_word_for_the_same_is_a_sign() -> None:
    """Of turns that every signal finds alike, the one with a word near the question's comes first."""
    found = [
        turn("The bicycle stands outside.", 1, session="a"),
        turn("The children are outside.", 2, session="b"),
        turn("The kitchen is outside.", 3, session="c"),
    ]
    words = table(common="the is are outside where", near=(("kids", "children"), ("bicycle",), ("kitchen",)))

    assert ranked("Where are the kids?", found, words)[0] == "The children are outside."


def test_a_turn_gains_by_the_words_around_it() -> None:
    """Words of the question that only the neighbour holds keep a turn in."""
    found = [
        turn("What did you name the parrot that your aunt gave you?", 1, dense=0.9, words=3.0),
        turn("Kiki!", 2, dense=0.7, words=1.0),
        *(turn(f"Nothing of note, {n}.", n, session="z", dense=0.05, words=0.0) for n in range(3, 12)),
    ]

    assert "Kiki!" in kept(ruled("What is the name of the parrot?", found))


def test_words_reach_two_turns_and_no_other_session() -> None:
    """Whoever stands next to a word has it too, but for who is in another session."""
    far = [turn("Well.", n, session="a") for n in (1, 2, 3)]
    found = [turn("Well.", 9, session="0"), *far, turn("A parrot.", 4, session="a"), turn("Well.", 1, session="b")]
    evidence = examine("parrot?", found, NOW, NONE)

    assert evidence is not None
    assert evidence.cut[2].tolist() == [0.0, 0.0, 1.0, 1.0, 1.0, 0.0]


def test_a_signal_that_found_nothing_is_no_obstacle() -> None:
    """Turns that words alone found are ranked."""
    memory = Memory("m", SCOPE, "s", "bees in Riga")

    assert len(ruled("bees?", [Candidate(memory, {"bm25_turn": 2.0})])) == 1


def test_what_is_read_need_not_be_read_again() -> None:
    """Who has what the texts show gives it, and the verdicts are the same."""
    found = [turn("My sister keeps bees.", 1), turn("She moved.", 2), turn("Bob: in Riga.", 3)]
    asked_for: list[str] = []

    def read(memory: Memory) -> Told:
        asked_for.append(memory.id)
        return told(memory.text, NONE)

    given = judge("Where does my sister keep bees?", found, Weights(), NOW, NONE, read)

    assert given == ruled("Where does my sister keep bees?", found)
    assert sorted(asked_for) == ["s001", "s002", "s003"]


def test_every_weight_has_its_evidence() -> None:
    """Columns of the order by name, gate and cut by their number: beside a base, and for the cut the lead."""
    evidence = examine("Where?", [turn("My sister keeps bees.", 1), turn("In Riga.", 2)], NOW, NONE)

    assert evidence is not None
    assert evidence.order.keys() == {*Order._fields}
    assert {column.shape for column in evidence.order.values()} == {(2,)}
    assert len(evidence.gate) + 1 == len(Gate._fields)
    assert evidence.cut.shape == (len(Cut._fields) - 2, 2)


def test_verdicts_of_evidence_are_those_of_the_candidates() -> None:
    """To fit weights, evidence is looked at once and judged often."""
    found = [turn("My sister Ada keeps bees in Riga.", 1, dense=0.7, words=2.0), turn("I had soup.", 2, dense=0.05)]
    evidence = examine("Where does my sister keep bees?", found, NOW, NONE)

    assert evidence is not None
    assert verdicts(evidence, Weights()) == ruled("Where does my sister keep bees?", found)


def test_thresholds_are_chances() -> None:
    """Whatever a fit found, they lie between never and always."""
    assert 0 < Weights().gate < 1
    assert 0 < Weights().cut < 1


@given(st.permutations([turn(f"Bees and number {n}", n, dense=n / 20, words=n % 3) for n in range(12)]))
@settings(derandomize=True, deadline=None, max_examples=50)
def test_the_order_of_the_candidates_does_not_matter(found: list[Candidate]) -> None:
    """The same candidates give the same hits."""
    assert ruled("bees", found) == ruled("bees", sorted(found, key=lambda c: c.memory.id))


ANY_TEXT = st.one_of(
    st.text(st.characters(codec=None), max_size=80),  # lone surrogates too
    st.sampled_from(["When was the trip?", "Two days before my birthday", "Ada: yes, last May!", "What was first?"]),
)


@given(
    ANY_TEXT,
    st.lists(
        st.tuples(
            ANY_TEXT,
            st.sampled_from(["a", "b"]),
            st.dictionaries(st.sampled_from(SIGNALS), st.floats(0, 30), max_size=4),
            st.floats(-1e11, 1e12),
        ),
        max_size=120,
    ),
    st.floats(-1e11, 1e12),
)
@settings(derandomize=True, deadline=None, max_examples=100)
def test_no_text_upsets_it(question: str, said: list[tuple[str, str, dict[str, float], float]], now: float) -> None:
    """Any text in any script, any mixture of signals, any time: at most as many hits as candidates, best first, each
    one of the candidates and only once."""
    found = [
        Candidate(Memory(str(n), SCOPE, s, text, at=at, seq=n), signals)
        for n, (text, s, signals, at) in enumerate(said)
    ]

    hits = judge(question, found, Weights(), now, NONE)

    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert {hit.memory.id for hit in hits} <= {candidate.memory.id for candidate in found}
    assert len({hit.memory.id for hit in hits}) == len(hits)


def test_there_are_as_many_hits_as_candidates() -> None:
    """A trace shows all of them, so that anyone can see what was not enough."""
    assert len(ruled("bees?", [turn(f"Bees, page {n}.", n) for n in range(200)])) == 200


def test_asking_the_same_again_is_no_evidence() -> None:
    """Turns that only asked so before, answered with nothing new, do not crowd out the fact."""
    before = [
        turn(f"Question {n}: where does my sister keep her bees?", n, dense=0.95, words=5.0) for n in range(2, 30)
    ]
    found = [turn("My sister Ada keeps bees in Riga.", 1, dense=0.7, words=3.0), *before]

    assert ranked("Question 40: where does my sister keep her bees?", found) == ["My sister Ada keeps bees in Riga."]


def test_a_question_that_was_answered_with_something_new_is_evidence() -> None:
    """The assistant's answer may be the only place where it stands."""
    memory = Memory(
        "m", SCOPE, "s", "What shall I call my bakery?", reply="Crumb and Company, after the old mill.", seq=1
    )
    found = [Candidate(memory, {"dense_turn": 0.95, "dense_near": 0.95, "bm25_turn": 3.0, "bm25_near": 3.0})]

    assert kept(ruled("What did you tell me to call my bakery?", found)) == ["What shall I call my bakery?"]


def test_a_name_in_a_question_is_a_capital_inside_of_a_sentence() -> None:
    """Not the first word, not "I", no part of a date."""
    assert asked("Where did Ada and I go? Then in May, on Monday, with Bob.").names == {"ada", "bob"}


def test_a_text_shows_who_speaks_and_what_kind_of_thing_it_says() -> None:
    """A name and a colon before it; a question also with an attachment behind it."""
    said = told("Ada: Did I show Bob and Carl my engine yesterday? [a photo]", NONE)

    assert (said.speaker, said.asks, said.time, said.first_person, said.names) == ("ada", True, True, True, 2)
