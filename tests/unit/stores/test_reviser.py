"""Reflections carried out, left unfinished, taken back; and what becomes of thoughts when their evidence goes."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from gateway.memory.policies.base import Study
from gateway.memory.policies.verbatim import Verbatim
from gateway.memory.records import Status, Turn
from gateway.memory.reflections import Draft, Insert, Merge, Operation, Reflection, Supersede
from gateway.memory.thoughts import Use
from tests.support.mind import ADA, Mind, mind


@dataclass(frozen=True, slots=True)
class Quoting(Verbatim):
    """A fact of what every turn says; "merge" makes one of all, "instead X" takes the place of the latest."""

    name: str = "quoting"
    thinks: bool = True

    async def reflect(self, turns: Sequence[Turn], study: Study) -> Sequence[Operation]:
        """By rule."""
        made: list[Operation] = []
        for turn in turns:
            own = await study.own("fact")
            draft = Draft("fact", turn.user_text.removeprefix("instead "), (turn.id,))
            if turn.user_text == "merge":
                made.append(Merge(tuple(m.id for m in own), replace(draft, text="all of it")))
            elif turn.user_text.startswith("instead "):
                made.append(Supersede(own[-1].id, draft))
            else:
                made.append(Insert(draft))
        return made


@pytest.fixture
async def ada(tmp_path: Path) -> AsyncIterator[Mind]:
    """A mind that quotes."""
    async with mind(tmp_path, Quoting()) as made:
        yield made


async def texts(ada: Mind, status: Status | None = "active") -> list[str]:
    """What was made and is in this state."""
    return [memory.text for memory in await ada.made(status=status)]


async def latest(ada: Mind) -> Reflection:
    """The reflection that was kept last."""
    return (await ada.thinker.agenda.reflections(ADA)).items[0]


async def test_a_reflection_is_taken_back(ada: Mind) -> None:
    """What it made is gone, what it superseded holds again, and the record says so."""
    await ada.say("Ada lives in Bern")
    await ada.think()
    await ada.say("instead Ada lives in Riga")
    await ada.think()
    assert await texts(ada) == ["Ada lives in Riga"]

    undone = await ada.thinker.reviser.undo(ADA, (await latest(ada)).id)

    assert undone and undone.state == "undone" and not undone.refused
    assert await texts(ada, None) == ["Ada lives in Bern"]
    assert await ada.thinker.reviser.undo(ADA, undone.id) == undone


async def test_what_changed_since_is_not_taken_back(ada: Mind) -> None:
    """An operator's edit outlives the undoing, and the record tells of it."""
    await ada.say("Ada lives in Bern")
    await ada.think()
    (made,) = await ada.made()
    await ada.curator.edit(ADA, made.id, lambda memory: replace(memory, text="Ada lives in Basel"))

    undone = await ada.thinker.reviser.undo(ADA, (await latest(ada)).id)

    assert undone and "has changed since" in undone.refused[0]
    assert await texts(ada) == ["Ada lives in Basel"]


async def test_nothing_is_taken_back_that_never_was(ada: Mind) -> None:
    """An id that no reflection has."""
    assert await ada.thinker.reviser.undo(ADA, "nobody") is None


async def test_what_was_left_unfinished_is_carried_out_once(ada: Mind) -> None:
    """A reflection that was intended and never applied is applied by whoever comes next; done twice it is done once."""
    turn = await ada.say("Ada keeps bees")
    await ada.think()
    done = await latest(ada)
    await ada.curator.settle(ADA, (), [done.after[0].id])
    await ada.thinker.agenda.conclude(ADA, replace(done, state="intended"))

    assert await ada.thinker.reviser.finish(ADA) == 1
    assert await texts(ada) == ["Ada keeps bees"]
    await ada.thinker.agenda.conclude(ADA, replace(done, state="intended"))
    assert await ada.thinker.reviser.finish(ADA) == 1
    assert [(m.text, m.version) for m in await ada.made()] == [("Ada keeps bees", 1)]
    assert (await latest(ada)).turns == (turn.id,)


async def test_thoughts_go_with_their_evidence(ada: Mind) -> None:
    """The fact, and the record of the reflection with its images; other facts stay."""
    first = await ada.say("Ada keeps bees")
    await ada.think()
    await ada.say("Bob sails")
    await ada.think()

    await ada.curator.delete(ADA, [first.id])

    assert await texts(ada, None) == ["Bob sails"]
    assert [r.after[0].text for r in (await ada.thinker.agenda.reflections(ADA)).items] == ["Bob sails"]


async def test_what_else_a_thought_rested_on_is_thought_about_again(ada: Mind) -> None:
    """A merged fact cannot be cut in two: it goes, and is made anew of what is left."""
    first = await ada.say("Ada keeps bees")
    await ada.say("Bob sails")
    await ada.think()
    await ada.say("merge")
    await ada.think()
    assert await texts(ada) == ["all of it"]

    await ada.curator.delete(ADA, [first.id])
    assert await texts(ada, None) == ["Bob sails"] or await texts(ada, None) == []
    await ada.think()

    assert "Ada keeps bees" not in await texts(ada, None)
    assert "Bob sails" in await texts(ada, None)


async def test_forgetting_takes_all_of_it(ada: Mind) -> None:
    """Thoughts, what is due, and the records."""
    await ada.say("Ada keeps bees")
    await ada.think()
    erased = await ada.curator.forget(ADA)

    assert erased["thoughts"] >= 1 and erased["memories"] == 2
    assert await ada.curator.held(ADA) == dict.fromkeys(erased, 0)


async def test_what_was_archived_comes_back_when_it_is_said_again(ada: Mind) -> None:
    """One memory, which rests on both turns."""
    await ada.say("Ada keeps bees")
    await ada.think()
    (made,) = await ada.made()
    await ada.curator.edit(ADA, made.id, lambda memory: replace(memory, status="archived"))
    await ada.say("Ada keeps bees")
    await ada.think()

    (again,) = await ada.made(status=None)
    assert (again.text, again.status, len(again.sources)) == ("Ada keeps bees", "active", 2)


async def test_a_turn_told_again_keeps_what_was_decided_about_it(ada: Mind) -> None:
    """Its new answer is indexed; that it was pinned and called upon stays."""
    turn = await ada.say("Ada keeps bees", "Which")
    await ada.think()
    await ada.curator.edit(ADA, turn.id, lambda memory: replace(memory, pinned=True, use=Use(3.0, 2, 1.0)))
    await ada.curator.journal.append(replace(turn, reply_text="Which bees are they?"))
    await ada.think()

    (memory,) = await ada.curator.memories.get(ADA, [turn.id])
    assert (memory.reply, memory.pinned, memory.use) == ("Which bees are they?", True, Use(3.0, 2, 1.0))
