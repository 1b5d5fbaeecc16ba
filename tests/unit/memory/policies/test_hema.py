"""HEMA: a summary that rolls along, chapters, a book of them, and a memory of turns that is pruned."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.memory.budget import tokens
from gateway.memory.filters import Filter
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


def split(text: str) -> list[str]:
    """The sentences."""
    return re.split(r"(?<=[.!?])\s+", text)


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

    gone = (await ada.curator.memories.browse(ADA, Filter(kind="turn", status="archived"))).items
    assert [memory.text for memory in gone] == ["Hive number 1 stands."]


async def test_without_a_model_sentences_stand_for_the_summary(ada: Mind) -> None:
    """Some of what was said, in no more than the paper's 60 tokens by a wide margin."""
    await talk(ada, 8)

    compact = (await tagged(ada))["compact"]
    assert "Hive number" in compact and tokens(compact) <= 90


async def test_no_sentence_stands_in_two_summaries(ada: Mind) -> None:
    """Without a model, though the user says some things again and again; and each stands in the turns that its summary
    rests on."""
    for number in range(56):
        again = "The honey of 2.5 kilos is sold." if number % 3 == 0 else "Well"
        await ada.say(f"Hive number {number} stands in town {number * 3}. {again}")
        if number % 8 == 7:
            await ada.think()

    summaries = [m for m in await ada.made("summary") if m.thought]
    said = {m.id: m.text for m in (await ada.curator.memories.browse(ADA, Filter(kind="turn"), limit=100)).items}
    sentences = [sentence for m in summaries for sentence in split(m.text)]
    assert {"compact", "book", "chapter 3"} <= {m.thought.tags[0] for m in summaries if m.thought}
    assert len(sentences) == len({*sentences})
    for memory in summaries:
        evidence = " ".join(said[source] for source in memory.sources)
        assert all(sentence.removesuffix(".") in evidence for sentence in split(memory.text))


async def test_a_chapter_begins_with_nothing(ada: Mind) -> None:
    """What was closed is no part of the compact memory any more. The first chapter stands at the head of conversations
    until there is a book."""
    ada.model.rules["Go on with the summary"] = lambda prompt: {"summary": f"After {prompt.count('user:')} more."}
    ada.model.rules["these chapters"] = {"summary": "A story of hives."}
    await talk(ada, 16)
    assert await tagged(ada) == {"chapter 1": "After 8 more."}
    assert "After 8 more." in (await ada.told("What is the boiling point of lead?")).text

    ada.model.rules["Go on with the summary"] = {"summary": "Another story. After 8 more!"}
    await talk(ada, 8)
    assert await tagged(ada) == {"chapter 1": "After 8 more.", "compact": "Another story."}
    assert "So far:\n--------\n(nothing)" in ada.model.asked[-1]

    await talk(ada, 8)
    assert await tagged(ada) == {
        "chapter 1": "After 8 more.",
        "chapter 2": "Another story.",
        "book": "A story of hives.",
    }
    assert [m.text for m in await ada.made("summary") if m.pinned] == ["A story of hives."]


async def test_a_chapter_of_which_the_book_tells_all_is_gone(ada: Mind) -> None:
    """The book rests on its turns."""
    ada.model.rules["Go on with the summary"] = lambda prompt: {"summary": f"Chapter of {prompt[-200:].count('town')}."}
    await talk(ada, 16)
    (first,) = await ada.made("summary")
    ada.model.rules["Go on with the summary"] = {"summary": "Something else."}
    ada.model.rules["these chapters"] = {"summary": first.text}
    await talk(ada, 16)

    assert await tagged(ada) == {"chapter 2": "Something else.", "book": first.text}
    (book,) = [m for m in await ada.made("summary") if m.pinned]
    assert {*first.sources} < {*book.sources}


async def test_a_long_life_counts_on(ada: Mind) -> None:
    """The number of turns is kept apart from the evidence, which is not kept for ever."""
    await talk(ada, 24)
    (compact,) = [m for m in await ada.made("summary") if m.thought and m.thought.tags[0] == "compact"]

    assert compact.thought and compact.thought.tags[1] == "24"
