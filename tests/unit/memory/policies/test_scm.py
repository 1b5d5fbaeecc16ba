"""SCM: the turn before stands by, long turns get summaries, and under a budget those go in instead."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.memory.policies.extracts import extract
from gateway.memory.policies.scm import Scm
from tests.support.mind import Mind, mind

LONG = "My sister Ada keeps bees in Riga since May 2021. " + " ".join(
    f"The weather on day {n} was nothing to speak of, as ever." for n in range(40)
)


@pytest.fixture
async def ada(tmp_path: Path) -> AsyncIterator[Mind]:
    """A mind with this policy, and no model until a test gives it one."""
    async with mind(tmp_path, Scm(piece_chars=10_000)) as made:
        yield made


async def test_the_turn_before_stands_by(ada: Mind) -> None:
    """First, even for a question that it has nothing to do with; only that turn does."""
    await ada.say("The boiler makes a noise.")
    await ada.say("Let us talk about Greece.")
    fitted = await ada.told("What is the boiling point of lead?")

    assert "Greece" in fitted.text and "boiler" not in fitted.text


async def test_a_long_turn_gets_a_summary_by_the_model(ada: Mind) -> None:
    """Of both sides; a short one gets none, and nobody is asked about it."""
    ada.model.rules["Summarise"] = {"user": "Ada keeps bees in Riga.", "assistant": "Told of hives."}
    long = await ada.say(LONG)
    await ada.say("Short.")
    await ada.think()

    (memory,) = await ada.curator.memories.get(long.scope, [long.id])
    assert memory.gist == "Ada keeps bees in Riga. Told of hives." and memory.text == LONG.strip()
    assert len(ada.model.asked) == 1


async def test_without_a_model_the_telling_sentences_are_the_summary(ada: Mind) -> None:
    """The fact is among them, in far fewer words."""
    long = await ada.say(LONG)
    await ada.think()

    (memory,) = await ada.curator.memories.get(long.scope, [long.id])
    assert "Ada keeps bees in Riga since May 2021." in memory.gist and len(memory.gist.split()) <= 61


async def test_what_does_not_fit_goes_in_short_or_not_at_all(ada: Mind) -> None:
    """The ladder: whole, summarised, dropped."""
    ada.model.rules["Summarise"] = {"user": "Ada keeps bees in Riga.", "assistant": ""}
    await ada.say(LONG)
    await ada.think()
    question = "Where does my sister Ada keep her bees?"
    whole, short, none = [await ada.told(question, budget=budget) for budget in (2000, 90, 10)]

    assert "day 39" in whole.text
    assert "Ada keeps bees in Riga." in short.text and "day 39" not in short.text
    assert none.text == "" and {hit.dropped for hit in none.hits} == {"over budget"}


@given(st.text(max_size=300), st.integers(0, 40))
def test_an_extract_is_made_of_the_text(text: str, limit: int) -> None:
    """Sentences of it in their order, no more words than may be."""
    short = extract(text, limit)

    assert len(short.split()) <= max(limit, len(short.split()) if short in text else 0)
    assert all(word in text for word in short.split())
