"""What weights are fitted to: whole conversations and parts of them, with the questions that each can answer."""

import asyncio
from dataclasses import dataclass, field, replace
from typing import cast

import pytest

from gateway.evals.fit.examples import PARTS, Example, collect
from gateway.evals.recall.embedded import Embedded
from gateway.evals.recall.sample import NOBODY, Question, Sample
from gateway.memory.policies.verbatim import Verbatim
from gateway.memory.records import Candidate, Turn

NOW = 1_800_000_000.0
TURNS = 30


@dataclass
class Notebook:
    """Where Embedded stands: writes down what it is told, and finds all of it for any question."""

    fails_at: str = ""
    told: list[Sample] = field(default_factory=list)
    open: bool = False

    async def tell(self, sample: Sample) -> None:
        """See Embedded."""
        assert not self.open
        self.told.append(sample)
        self.open = True

    async def candidates(self, question: str, at: float) -> tuple[list[Candidate], float]:
        """See Embedded."""
        if question == self.fails_at:
            raise OSError("the disk is gone")
        memories = [m for said in self.told[-1].told if isinstance(said, Turn) for m in Verbatim().keep(said)]
        return [Candidate(memory, {"dense_turn": 0.5, "dense_near": 0.5}) for memory in memories], at or NOW

    async def forget(self) -> None:
        """See Embedded."""
        self.open = False


def talk(name: str) -> Sample:
    """Thirty turns in a row; each of the first ten is asked about, the eleventh question needs two turns, and nothing
    answers the last one."""
    ids = [f"00000000-0000-0000-0000-{n:012}" for n in range(TURNS)]
    told = tuple(Turn(id, NOBODY, "s", "", 1.0, f"page {n}", "", seq=n + 1) for n, id in enumerate(ids))
    asked = [Question(f"What of {name} {n}?", "x", (ids[n],), ("s",), float(n)) for n in range(10)]
    asked += [Question("Both ends?", "x", (ids[0], ids[-1]), ("s",)), Question("Nothing?", "x", (), ("s",))]
    return Sample(name, told, tuple(asked), {id: f"D{n}" for n, id in enumerate(ids)})


ADA, BO = talk("ada"), talk("bo")


async def collected(book: Notebook) -> list[Example]:
    """The examples of one conversation beside another."""
    return await collect(cast(Embedded, book), Verbatim(), ADA, [ADA, BO], lambda _: None)


def test_a_conversation_is_told_whole_and_in_parts(once: tuple[Notebook, list[Example]]) -> None:
    """Whole once, and as often as the table says in each size that it reaches; forgotten each time."""
    book, _ = once

    assert book.told[0] == ADA
    assert len(book.told) == 1 + sum(PARTS.values())
    assert all(len(piece.told) <= turns for piece, turns in zip(book.told[1:], sizes(), strict=True))
    assert not book.open


@pytest.fixture(scope="module")
def once() -> tuple[Notebook, list[Example]]:
    """One collection, for the tests that only look at it."""
    book = Notebook()
    return book, asyncio.run(collected(book))


def sizes() -> list[int]:
    """The size of each part, in order."""
    return [turns for turns, times in PARTS.items() for _ in range(times)]


def test_a_part_is_turns_in_a_row(once: tuple[Notebook, list[Example]]) -> None:
    """As they were told, and one of them answers something."""
    book, _ = once

    for piece in book.told[1:]:
        first = ADA.told.index(piece.told[0])
        assert piece.told == ADA.told[first : first + len(piece.told)]
        assert {said.id for said in piece.told} & {id for question in ADA.questions for id in question.gold}


def test_a_part_is_asked_what_it_can_answer(once: tuple[Notebook, list[Example]]) -> None:
    """All the evidence of its own questions was told; the others are known to find no help."""
    book, examples = once

    for piece in book.told[1:]:
        told = {said.id for said in piece.told}
        assert all(question.gold and told.issuperset(question.gold) for question in piece.questions)
    assert {e.kind for e in examples if e.part} == {"own", "strangers", "general"}


def test_of_a_whole_conversation_every_answered_question_is_asked(once: tuple[Notebook, list[Example]]) -> None:
    """Each under its number in the file; questions of others have none."""
    whole = [e for e in once[1] if not e.part]

    assert [e.number for e in whole if e.kind == "own"] == [*range(1, 12)]
    assert {e.number for e in whole if e.kind != "own"} == {0}


def test_gold_marks_the_evidence(once: tuple[Notebook, list[Example]]) -> None:
    """Exactly the candidates of the turns that answer; none for a question that nothing answers."""
    for e in once[1]:
        gold = {c.memory.id for c, is_gold in zip(e.evidence.candidates, e.gold, strict=True) if is_gold}
        assert gold == set(e.question.gold)


async def test_a_later_piece_of_a_turn_is_evidence_too() -> None:
    """A long turn becomes several memories; all of them come from it."""
    long = "A sentence that goes on for a while. " * 60
    told = Turn("00000000-0000-0000-0000-000000000001", NOBODY, "s", "", 1.0, long, "", seq=1)
    sample = Sample("cy", (told,), (Question("What goes on?", "x", (told.id,), ("s",)),), {told.id: "D1"})
    examples = await collect(cast(Embedded, Notebook()), Verbatim(), sample, [sample, BO], lambda _: None)
    (own,) = [e for e in examples if e.kind == "own" and not e.part]

    assert len(own.gold) > 1
    assert own.gold.all()


async def test_the_same_examples_are_collected_every_time(once: tuple[Notebook, list[Example]]) -> None:
    """A fit can be repeated."""
    (one, first), other = once, Notebook()
    second = await collected(other)

    assert one.told == other.told
    assert [(e.question, e.kind, e.part) for e in first] == [(e.question, e.kind, e.part) for e in second]


async def test_what_fails_is_forgotten() -> None:
    """A question that cannot be asked ends the fit, and nothing is left in the store."""
    book = Notebook(fails_at="Both ends?")

    with pytest.raises(OSError, match="the disk is gone"):
        await collected(book)

    assert (len(book.told), book.open) == (1, False)


async def test_half_of_the_parts_are_told_as_if_by_one_user() -> None:
    """Every other one: no speaker stands before a turn, and questions about one are about oneself, those that find no
    help too. The whole stays as it is."""
    book, both = Notebook(), [spoken(ADA, "Ada"), spoken(BO, "Bo")]
    examples = await collect(cast(Embedded, book), Verbatim(), both[0], both, lambda _: None)
    named = ["Ada: " in texts(piece) for piece in book.told]
    strange = {e.question.text for e in examples if e.kind != "own" and "Of " in e.question.text}

    assert named[:4] == [True, True, False, True]
    assert sum(named[1:]) == sum(PARTS.values()) / 2
    assert {q.text for piece in book.told[2::2] for q in piece.questions} <= {
        f"Of my page {n}, does I know?" for n in range(10)
    }
    assert {q.split()[1] for q in strange} == {"Bo's", "my"}


def spoken(sample: Sample, name: str) -> Sample:
    """The same with a speaker whose name stands before each turn and in each question that one turn answers."""
    told = tuple(replace(said, user_text=f"{name}: {said.user_text}") for said in sample.told if isinstance(said, Turn))
    asked = [replace(q, text=f"Of {name}'s page {i}, does {name} know?") for i, q in enumerate(sample.questions[:10])]
    return replace(sample, told=told, questions=tuple(asked))


def texts(sample: Sample) -> str:
    """All that was said."""
    return " ".join(said.user_text for said in sample.told if isinstance(said, Turn))
