"""ArcMemo: concepts of the same name are one, merged by rule; names until they have proved themselves."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.memory.policies.arcmemo import ArcMemo, Concept, Parameter, merged, read, tidy, written
from gateway.memory.records import Memory, Scope
from gateway.memory.thoughts import Feedback, Thought
from tests.support.mind import Mind, mind

SWAP: dict[str, Any] = {
    "name": "Swap neighbours",
    "kind": "routine",
    "description": "Put a list in order by swapping neighbours.",
    "parameters": [{"name": "order", "description": ""}],
    "cues": ["a list is to be put in order"],
    "implementation": ["compare, swap, repeat"],
    "turns": [1],
}
MORE = {
    **SWAP,
    "name": "swap  Neighbours",
    "description": "Another description.",
    "parameters": [{"name": "order", "description": "ascending or descending"}, {"name": "list", "description": ""}],
    "cues": ["a list is to be put in order", "few items"],
    "implementation": ["stop when nothing was swapped"],
}
ONE: dict[str, Any] = {"used again": {"concepts": [SWAP]}}
QUESTION = "Put the list 9 8 in order by swapping neighbours"


@pytest.fixture
async def ada(tmp_path: Path) -> AsyncIterator[Mind]:
    """A mind with this policy, and a model that finds one concept."""
    async with mind(tmp_path, ArcMemo(), **ONE) as made:
        yield made


async def solved(ada: Mind, number: int, *concepts: dict[str, Any]) -> None:
    """A problem, its solution, and the concepts that a model finds in that."""
    ada.model.rules["used again"] = {"concepts": list(concepts)}
    await ada.say(f"Problem number {number}", f"solution {number}")
    await ada.think()


async def test_two_that_have_one_name_are_one_concept(ada: Mind) -> None:
    """The first description stands, parameters are told apart by name, cues and ways to do it come together."""
    await solved(ada, 1, SWAP)
    await solved(ada, 2, MORE)

    (concept,) = await ada.made("concept")
    assert concept.thought and concept.thought.title == "Swap neighbours" and len(concept.sources) == 2
    assert concept.text.split("\n") == [
        "routine: Put a list in order by swapping neighbours.",
        "Parameters: order (ascending or descending); list",
        "Cues: a list is to be put in order; few items",
        "Implementation: compare, swap, repeat; stop when nothing was swapped",
    ]
    assert "Swap neighbours: routine: Put a list" in ada.model.asked[1]


@pytest.mark.parametrize(("whole", "told"), [(2, False), (1, True)])
async def test_what_was_used_once_is_a_name_only(tmp_path: Path, whole: int, told: bool) -> None:
    """Until it has proved itself."""
    async with mind(tmp_path, ArcMemo(whole=whole), **ONE) as ada:
        await solved(ada, 1, SWAP)
        fitted = await ada.told(QUESTION)

    assert "concept: Swap neighbours" in fitted.text
    assert ("compare, swap, repeat" in fitted.text) is told


async def test_what_was_used_twice_is_told_whole(ada: Mind) -> None:
    """Once, as one line; and not for another problem."""
    await solved(ada, 1, SWAP)
    await solved(ada, 2, SWAP)

    fitted = await ada.told(QUESTION)
    assert fitted.text.count("concept: Swap neighbours: routine: Put a list in order by swapping neighbours.") == 1
    assert "Swap" not in (await ada.told("Riga bees")).text


async def test_a_turn_that_is_told_again_counts_once(ada: Mind) -> None:
    """Success told later does not make it two uses."""
    turn = await ada.say("Problem", "solution")
    await ada.think()
    await ada.curator.journal.append(replace(turn, feedback=Feedback("success")))
    await ada.think()

    (concept,) = await ada.made("concept")
    assert len(concept.sources) == 1 and len(ada.model.asked) == 2


async def test_a_failure_adds_nothing_and_takes_away_what_rests_on_it(ada: Mind) -> None:
    """Nobody is asked about it."""
    turn = await ada.say("Problem", "solution")
    await ada.think()
    await ada.curator.journal.append(replace(turn, feedback=Feedback("failure")))
    await ada.think()

    assert await ada.made() == [] and len(ada.model.asked) == 1


async def test_only_a_few_are_shown(ada: Mind) -> None:
    """The most like."""
    many = [{**SWAP, "name": f"Swap {word}"} for word in ("one", "two", "three", "four", "five", "six", "seven")]
    await solved(ada, 1, *many)
    await solved(ada, 2, *many)
    fitted = await ada.told(QUESTION)

    assert fitted.text.count("concept: Swap") == 5
    assert sum(hit.dropped == "enough shown" for hit in fitted.hits) == 2


async def test_a_flood_is_capped_and_numbers_nobody_gave_out_name_nothing(ada: Mind) -> None:
    """So many concepts, so long, of turns that are not there."""
    flood = {**SWAP, "turns": [0, -1, 99], "cues": ["c" * 9000] * 900, "description": "d" * 90_000}
    await solved(
        ada, 1, *({**flood, "name": f"{number} " + "n" * 9000} for number in range(500)), {**flood, "name": " "}
    )

    made = await ada.made("concept")
    assert len(made) == 10 and all(len(m.text) < 1000 and len(m.sources) == 1 for m in made)


texts = st.text(st.sampled_from("aB;:()\n ,é"), max_size=12) | st.text(max_size=200)
concepts = st.builds(
    Concept,
    st.just("name"),
    st.sampled_from(["structure", "routine"]),
    texts,
    st.lists(st.builds(Parameter, texts, texts), max_size=10).map(tuple),
    st.lists(texts, max_size=10).map(tuple),
    st.lists(texts, max_size=10).map(tuple),
).map(tidy)


@given(concepts)
def test_what_is_written_can_be_read_again(concept: Concept) -> None:
    """To the letter, and it is short enough for a memory."""
    memory = Memory("id", Scope("t", "u"), "s", written(concept), thought=Thought("arcmemo", title="name"))

    assert read(memory) == concept and len(memory.text) < 4096


@given(concepts, concepts)
def test_merging_is_by_rule(old: Concept, new: Concept) -> None:
    """What the first says stays and stands first, nothing is twice, and merging again changes nothing."""
    both = merged(old, new)

    assert both.description == (old.description or new.description)
    assert both.cues[: len(old.cues)] == old.cues and {*both.cues} <= {*old.cues, *new.cues}
    assert len({p.name for p in both.parameters}) == len(both.parameters) and len({*both.cues}) == len(both.cues)
    assert {p.name for p in old.parameters} <= {p.name for p in both.parameters}
    assert merged(both, new) == both == merged(both, both)
