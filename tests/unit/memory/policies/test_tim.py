"""TiM: relations instead of turns, one place for what says the same, and an end for what is over."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.memory.policies.lsh import bucket
from gateway.memory.policies.tim import Tim
from gateway.memory.records import Status
from tests.support.mind import Mind, mind

THINK, SETTLE = "Which lasting relations", "Compare what was just thought"


@pytest.fixture
async def ada(tmp_path: Path) -> AsyncIterator[Mind]:
    """A mind with this policy, which compares and finds nothing."""
    async with mind(tmp_path, Tim()) as made:
        made.model.rules[SETTLE] = {"over": [], "same": []}
        yield made


def triple(sentence: str, head: str = "Ada", turn: int = 1) -> dict[str, Any]:
    """As a model tells it."""
    return {"head": head, "relation": "is", "tail": "so", "sentence": sentence, "turn": turn}


async def think(ada: Mind, *triples: dict[str, Any], text: str = "So it is.") -> None:
    """Something is said, and these are the thoughts about it."""
    ada.model.rules[THINK] = {"thoughts": [*triples]}
    await ada.say(text)
    assert [r.state for r in await ada.think()] == ["applied"]


async def sentences(ada: Mind, status: Status = "active") -> list[str]:
    """The thoughts in this state."""
    return [memory.text for memory in await ada.made("fact", status=status)]


async def test_thoughts_are_sentences_with_their_turns(ada: Mind) -> None:
    """Each rests on the turn that tells it; a number that no turn has names them all."""
    ada.model.rules[THINK] = {"thoughts": [triple("Ada keeps bees.", turn=2), triple("Bob sails.", "Bob", 99)]}
    first, second = await ada.say("Hello."), await ada.say("Ada keeps bees, Bob sails.")
    await ada.think()

    made = {memory.text: memory for memory in await ada.made("fact")}
    assert made["Ada keeps bees."].sources == (second.id,)
    assert made["Bob sails."].sources == (first.id, second.id)
    assert made["Ada keeps bees."].thought and made["Ada keeps bees."].thought.tags[0] == "ada"


async def test_what_is_over_is_superseded(ada: Mind) -> None:
    """The paper's forgetting of contradictions, with a trace of what was believed."""
    await think(ada, triple("Ada lives in Bern."))
    ada.model.rules[SETTLE] = {"over": [{"old": 1, "new": 1}], "same": []}
    await think(ada, triple("Ada lives in Riga."))

    assert await sentences(ada) == ["Ada lives in Riga."]
    assert await sentences(ada, "superseded") == ["Ada lives in Bern."]


async def test_what_says_the_same_is_merged(ada: Mind) -> None:
    """Into a sentence that says both; it rests on both turns."""
    await think(ada, triple("Ada keeps bees."))
    same = {"old": 1, "new": 1, "sentence": "Ada keeps bees in nine hives."}
    ada.model.rules[SETTLE] = {"over": [], "same": [same]}
    await think(ada, triple("Ada has nine hives."))

    (made,) = await ada.made("fact")
    assert (made.text, len(made.sources)) == ("Ada keeps bees in nine hives.", 2)


async def test_only_thoughts_of_a_head_or_bucket_are_compared(ada: Mind) -> None:
    """Nobody is asked about what has nothing to do with it."""
    await think(ada, triple("Ada keeps bees."))
    asked = len(ada.model.asked)
    taken = bucket(await vector(ada, "Ada keeps bees."), 16)
    others = [f"Zebra number {n} grazes." for n in range(50)]
    strange = [text for text in others if bucket(await vector(ada, text), 16) != taken]
    await think(ada, triple(strange[0], "zebra"))

    assert len(ada.model.asked) == asked + 1


async def vector(ada: Mind, text: str) -> list[float]:
    """As the policy sees it."""
    return [*(await ada.study().vectors([text]))[0]]


async def test_numbers_that_were_not_given_out_change_nothing(ada: Mind) -> None:
    """A pair is used once, and only if both of it are there."""
    await think(ada, triple("Ada lives in Bern."))
    ada.model.rules[SETTLE] = {
        "over": [{"old": 7, "new": 1}, {"old": 1, "new": 9}, {"old": -1, "new": 0}],
        "same": [],
    }
    await think(ada, triple("Ada lives in Riga."))

    assert sorted(await sentences(ada)) == ["Ada lives in Bern.", "Ada lives in Riga."]


async def test_only_so_many_thoughts_are_kept(ada: Mind) -> None:
    """However many the model has."""
    await think(ada, *(triple(f"Ada has hive number {n}.") for n in range(500)))

    assert len(await sentences(ada)) == 12


async def test_a_thought_is_recalled_instead_of_its_turn(ada: Mind) -> None:
    """One fact is one line."""
    await think(ada, triple("Ada keeps bees in Riga."), text="You know, my sister Ada keeps bees in Riga.")
    fitted = await ada.told("Where does Ada keep bees in Riga?")

    assert fitted.text.count("Riga") == 1


def test_a_bucket_is_the_same_everywhere() -> None:
    """Opposite vectors fall into opposite buckets, and all buckets are used."""
    drawn = np.random.default_rng(1).standard_normal((400, 64)).tolist()

    assert {bucket(vector, 16) for vector in drawn} == set(range(16))
    assert all((bucket(v, 16) + 8) % 16 == bucket([-x for x in v], 16) for v in drawn)
