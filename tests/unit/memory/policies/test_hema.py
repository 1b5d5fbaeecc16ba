"""HEMA: a summary that rolls along, chapters, a book of them, and a memory of turns that is pruned."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.memory.budget import tokens
from gateway.memory.policies.hema import Hema
from tests.support.mind import ADA, Mind, mind


@pytest.fixture
async def ada(tmp_path: Path) -> AsyncIterator[Mind]:
    """A mind that closes a chapter after sixteen turns and prunes a tenth."""
    async with mind(tmp_path, Hema(chapter=16, pruned=0.1)) as made:
        yield made


async def talk(ada: Mind, turns: int) -> None:
    """So many turns, thought about eight by eight."""
    for number in range(turns):
        await ada.say(f"Hive number {number} stands in town {number * 3}.")
        if number % 8 == 7:
            await ada.think()


async def tagged(ada: Mind) -> dict[str, str]:
    """The summaries by what they are."""
    return {m.thought.tags[0]: m.text for m in await ada.made("summary") if m.thought}


async def test_the_compact_memory_rolls_along(ada: Mind) -> None:
    """The model gets the summary so far and what is new; there is one, at the head of every conversation."""
    ada.model.rules["Go on with the summary"] = {"summary": "First part."}
    await talk(ada, 8)
    ada.model.rules["Go on with the summary"] = {"summary": "Both parts."}
    await ada.say("And more.")
    await ada.think()

    assert "First part." in ada.model.asked[1] and "And more." in ada.model.asked[1]
    assert await tagged(ada) == {"compact": "Both parts."}
    assert "Both parts." in (await ada.told("What is the boiling point of lead?")).text


async def test_chapters_are_closed_and_summed_up(ada: Mind) -> None:
    """Two levels: after the second chapter there is a book of the chapters."""
    ada.model.rules["Go on with the summary"] = lambda prompt: {"summary": f"Part of {prompt.count('user:')} turns."}
    ada.model.rules["these chapters"] = {"summary": "A story of hives."}
    await talk(ada, 40)

    assert set(await tagged(ada)) == {"compact", "book", "chapter 1", "chapter 2"}
    assert (await tagged(ada))["book"] == "A story of hives."


async def test_the_least_salient_turns_leave(ada: Mind) -> None:
    """At a chapter's end a tenth, the oldest that nobody recalled; they are archived, not lost."""
    first = await ada.say("Hive zero stands in town zero.")
    for number in range(1, 17):
        await ada.say(f"Hive number {number} stands.", recalled=[first.id] if number < 9 else [])
        if number % 8 == 0:
            await ada.think()

    gone = (await ada.curator.memories.browse(ADA, kind="turn", status="archived")).items
    assert [memory.text for memory in gone] == ["Hive number 1 stands."]


async def test_without_a_model_sentences_stand_for_the_summary(ada: Mind) -> None:
    """Some of what was said, in no more than the paper's 60 tokens by a wide margin."""
    await talk(ada, 8)

    compact = (await tagged(ada))["compact"]
    assert "Hive number" in compact and tokens(compact) <= 90


async def test_a_long_life_counts_on(ada: Mind) -> None:
    """The number of turns is kept apart from the evidence, which is not kept for ever."""
    await talk(ada, 24)
    (compact,) = [m for m in await ada.made("summary") if m.thought and m.thought.tags[0] == "compact"]

    assert compact.thought and compact.thought.tags[1] == "24"
