"""MemoryBank: a summary per day, a portrait at every conversation's head, and what is not recalled fades."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.memory.filters import Filter
from gateway.memory.policies.memorybank import MemoryBank
from gateway.memory.records import Memory, Status
from tests.support.mind import ADA, DAY, Mind, mind


@pytest.fixture
async def ada(tmp_path: Path) -> AsyncIterator[Mind]:
    """A mind with this policy and a model that sums up."""
    async with mind(tmp_path, MemoryBank()) as made:
        made.model.rules["Sum up"] = {"summary": "They talked of bees."}
        made.model.rules["Describe the user"] = {"portrait": "A keeper of bees, calm."}
        yield made


async def test_every_day_has_one_summary(ada: Mind) -> None:
    """What is said later on the same day makes the next version; another day has its own."""
    now = ada.clock.now
    await ada.say("Bees.", at=now)
    await ada.think()
    ada.model.rules["Sum up"] = {"summary": "They talked of bees and honey."}
    await ada.say("Honey.", at=now + 60)
    await ada.say("The next day.", at=now + DAY)
    await ada.think()

    first, second = await ada.made("summary")
    assert (first.text, first.version, len(first.sources)) == ("They talked of bees and honey.", 2, 2)
    assert [m.thought and m.thought.title for m in (first, second)] == ["On 2026-05-01", "On 2026-05-02"]
    assert "They talked of bees." in ada.model.asked[2]


async def test_the_portrait_stands_at_the_head(ada: Mind) -> None:
    """Pinned, one, and in every new conversation, whatever is asked."""
    await ada.say("I keep bees.")
    await ada.think()
    await ada.say("I am calm.")
    await ada.think()

    (portrait,) = await ada.made("profile")
    assert portrait.pinned and len(portrait.sources) == 2
    assert "profile: A keeper of bees, calm." in (await ada.told("What is the boiling point of lead?")).text


async def test_what_is_recalled_outlives_what_is_not(ada: Mind) -> None:
    """Twenty days later, of two facts the one that was asked for five times is still there."""
    ada.model.rules.clear()
    told = ada.clock.now
    bees = await ada.say("My sister Ada keeps bees in Riga.", at=told)
    await ada.say("My brother Bob keeps goats in Bern.", at=told)
    for _ in range(5):
        await ada.say("Well.", recalled=[bees.id], at=told + DAY)
    assert [r.state for r in await ada.think()] == ["applied"]

    ada.clock.now = told + 20 * DAY
    fitted = await ada.told("Where does my sister Ada keep her bees and my brother Bob his goats?")
    assert "Riga" in fitted.text and "Bern" not in fitted.text
    assert {hit.dropped for hit in fitted.hits if "Bern" in hit.memory.text} == {"faded"}


async def test_what_nobody_needed_is_archived(ada: Mind) -> None:
    """A summary and what was said alike, after five weeks; the portrait does not fade."""
    await ada.say("Bees.", at=ada.clock.now)
    await ada.think()
    ada.clock.now += 60 * DAY
    await ada.say("Back again.")
    await ada.think()

    assert [m.thought and m.thought.title for m in await ada.made("summary", status="archived")] == ["On 2026-05-01"]
    assert len(await ada.made("profile")) == 1
    assert [m.text for m in await _turns(ada, "active")] == ["Back again."]
    assert [m.text for m in await _turns(ada, "archived")] == ["Bees."]


async def test_what_was_brought_back_is_not_archived_at_once(ada: Mind) -> None:
    """It fades from then on, as if it had been said anew."""
    await ada.say("Bees.", at=ada.clock.now)
    for days, status in ((60, "archived"), (20, "active"), (20, "archived")):
        ada.clock.now += days * DAY
        await ada.say(f"After {ada.clock.now}.")
        await ada.think()
        (bees,) = [
            memory
            for status in ("active", "archived")
            for memory in await _turns(ada, status)
            if memory.text == "Bees."
        ]
        assert bees.status == status
        if days == 60:
            await ada.curator.edit(ADA, bees.id, lambda memory: replace(memory, status="active"))


async def test_an_old_conversation_that_is_told_now_is_not_archived_at_once(ada: Mind) -> None:
    """Its turns fade by their own time, as what is recalled for them does."""
    then = ada.clock.now - 300 * DAY
    for days in range(3):
        await ada.say(f"Bees, {days}.", at=then + days * DAY)
        await ada.think()
    assert len(await _turns(ada, "active")) == 3

    await ada.say("Now.")
    await ada.think()
    assert [m.text for m in await _turns(ada, "active")] == ["Now."]


async def _turns(ada: Mind, status: Status) -> list[Memory]:
    return [*(await ada.curator.memories.browse(ADA, Filter(kind="turn", status=status))).items]
