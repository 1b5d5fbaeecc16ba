"""Mem-alpha: a core, facts and events, kept by a model with three tools."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.memory.budget import tokens
from gateway.memory.policies.mem_alpha import MemAlpha
from gateway.memory.records import Status
from tests.support.mind import ADA, DAY, Mind, mind

WRITE, RETHINK = "Keep the memory of this user", "Say this in one paragraph"


@pytest.fixture
async def ada(tmp_path: Path) -> AsyncIterator[Mind]:
    """A mind with this policy."""
    async with mind(tmp_path, MemAlpha()) as made:
        yield made


def call(tool: str, type: str = "semantic", content: str = "", id: int = 0, **more: Any) -> dict[str, Any]:
    """As a model makes it."""
    return {"tool": f"memory_{tool}", "type": type, "content": content, "id": id, "date": "", "turn": 1, **more}


async def think(ada: Mind, *calls: dict[str, Any], text: str = "So it is.") -> None:
    """Something is said, and these are the calls."""
    ada.model.rules[WRITE] = {"calls": [*calls]}
    await ada.say(text)
    assert [(r.state, r.refused) for r in await ada.think()] == [("applied", ())]


async def texts(ada: Mind, *kinds: Any, status: Status = "active") -> list[str]:
    """What was made, in this state."""
    return [memory.text for memory in await ada.made(*kinds, status=status)]


async def test_three_places(ada: Mind) -> None:
    """The core stands in every prompt, a fact lasts, an event has its day."""
    await think(
        ada,
        call("update", "core", "The user is Bob, a baker."),
        call("insert", "semantic", "Bob's sister Ada keeps bees."),
        call("insert", "episodic", "Bob opened his second shop.", date="2026-04-11"),
    )
    (core,), (event,) = await ada.made("profile"), await ada.made("event")

    assert core.pinned and core.text == "The user is Bob, a baker."
    assert event.thought and event.thought.occurred == (1_775_865_600.0, 1_775_865_600.0 + DAY)
    assert await texts(ada, "fact") == ["Bob's sister Ada keeps bees."]
    assert "Bob, a baker" in (await ada.told("What is the boiling point of lead?")).text


async def test_the_core_is_only_rewritten(ada: Mind) -> None:
    """It can be neither added to nor deleted; of several rewritings the last one counts, as its next version."""
    await think(ada, call("insert", "core", "Bob."))
    assert await texts(ada, "profile") == []
    await think(ada, call("update", "core", "Bob bakes."), call("delete", "core", id=1))
    await think(ada, call("update", "core", "Bob sails."), call("update", "core", "Bob bakes and sails."))

    (core,) = await ada.made("profile")
    assert (core.text, core.version, len(core.sources)) == ("Bob bakes and sails.", 2, 2)


async def test_an_update_supersedes_and_a_deletion_removes(ada: Mind) -> None:
    """By the numbers that were shown, oldest first."""
    await think(ada, call("insert", content="Ada lives in Bern."))
    await think(ada, call("insert", content="Bob sails."))
    await think(ada, call("update", content="Ada lives in Riga.", id=1), call("delete", id=2))

    assert await texts(ada, "fact") == ["Ada lives in Riga."]
    assert await texts(ada, "fact", status="superseded") == ["Ada lives in Bern."]


async def test_calls_that_contradict_each_other_or_name_nothing(ada: Mind) -> None:
    """The first about a memory counts; a number that was not given out, and an update to nothing, change nothing."""
    await think(ada, call("insert", content="Ada lives in Bern."))
    await think(
        ada,
        call("update", content="  ", id=1),
        call("delete", id=1),
        call("delete", id=0),
        call("delete", id=-1),
        call("update", content="Mine!", id=99),
    )

    assert await texts(ada, "fact") == ["Ada lives in Bern."]


async def test_the_same_is_remembered_once(ada: Mind) -> None:
    """Told twice in a batch, and once more later: then it rests on both turns."""
    await think(ada, call("insert", content="Ada keeps bees."), call("insert", content="ada keeps bees"))
    await think(ada, call("insert", content="Ada keeps bees!"))

    (made,) = await ada.made("fact")
    assert (made.text, len(made.sources)) == ("Ada keeps bees.", 2)


async def test_only_its_own_memories_are_shown_and_changed(ada: Mind) -> None:
    """A turn has no number: nothing that was said can be deleted."""
    turn = await ada.say("I sail.")
    ada.model.rules[WRITE] = {"calls": [call("delete", id=number) for number in range(-2, 9)]}
    await ada.think()

    assert len(await ada.curator.memories.get(ADA, [turn.id])) == 1


async def test_the_newest_are_shown_and_those_like_what_is_said(ada: Mind) -> None:
    """Of many memories so many; an old one only where the talk is of it."""
    for batch in range(4):
        numbers = range(12 * batch, 12 * batch + 12)
        await think(ada, *(call("insert", content=f"Zebra{n} grazes on field{n}.") for n in numbers))
    await think(ada, text="Zebra3 grazes on field3.")
    asked = ada.model.asked[-1]

    assert "Zebra47" in asked and "Zebra3 grazes on field3." in asked.split("What was said:")[0]
    assert "Zebra12 " not in asked and asked.count("grazes") <= 20 + 5 + 1


async def test_a_core_that_is_too_long_is_thought_over(ada: Mind) -> None:
    """By the model."""
    ada.model.rules[RETHINK] = {"core": "Bob bakes."}
    await think(ada, call("update", "core", "Bob bakes bread. " * 400))

    assert await texts(ada, "profile") == ["Bob bakes."]


@pytest.mark.parametrize(
    "again", ["Bob bakes bread at dawn. He sails. " * 900, "x" * 100_000, "面包 " * 5000, "", "面" * 9000]
)
async def test_whatever_the_model_says_the_core_fits(ada: Mind, again: str) -> None:
    """If it is still too long, by the sentences that tell most; there is a core in any case."""
    ada.model.rules[RETHINK] = {"core": again}
    await think(ada, call("update", "core", again or "Bob bakes bread. " * 400))

    (core,) = await ada.made("profile")
    assert 0 < tokens(core.text) <= 512


async def test_only_so_many_calls_are_carried_out(ada: Mind) -> None:
    """However many the model makes."""
    await think(ada, *(call("insert", content=f"Hive {n} is full.") for n in range(1000)))

    assert len(await texts(ada, "fact")) == 12


async def test_deleting_a_turn_reaches_the_core(ada: Mind) -> None:
    """Also where the core was written later, with the fact of that turn in sight."""
    ada.model.rules[WRITE] = {"calls": [call("insert", content="Ada keeps bees.")]}
    first = await ada.say("Ada keeps bees.")
    await ada.think()
    await think(ada, call("update", "core", "Bob's sister keeps bees."))
    await ada.curator.delete(ADA, [first.id])

    assert await texts(ada) == []


async def test_without_a_model_nothing_is_made(ada: Mind) -> None:
    """The turns are recalled as they were said."""
    await ada.say("Ada keeps bees in Riga.")
    (failed,) = await ada.think()

    assert failed.state == "failed" and await ada.made() == []
    assert "Riga" in (await ada.told("Where does Ada keep bees?")).text
