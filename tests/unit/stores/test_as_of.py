"""Recall of another time over real stores: what was believed then, and nothing that came later."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from gateway.memory.filters import Filter
from gateway.memory.policies.base import Study
from gateway.memory.policies.verbatim import Verbatim
from gateway.memory.records import Recall, Turn
from gateway.memory.reflections import Draft, Insert, Operation, Supersede
from gateway.memory.thoughts import Link
from tests.support.mind import ADA, DAY, Mind, mind

MAY = 1_777_593_600.0


@dataclass(frozen=True, slots=True)
class Quoting(Verbatim):
    """A fact of what every turn says, in the place of the one before; each linked to the first."""

    name: str = "quoting"
    thinks: bool = True
    follows: float = 0.9

    async def reflect(self, turns: Sequence[Turn], study: Study) -> Sequence[Operation]:
        """By rule, one turn at a time."""
        (turn,) = turns
        own = await study.own("fact")
        draft = Draft("fact", turn.user_text, (turn.id,), links=tuple(Link(m.id, "entity") for m in own[:1]))
        return [Supersede(own[-1].id, draft) if own else Insert(draft)]


@pytest.fixture
async def ada(tmp_path: Path) -> AsyncIterator[Mind]:
    """Ada moves on the second and on the fourth of May, and thinks about it each time."""
    async with mind(tmp_path, Quoting()) as made:
        for day, place in enumerate(("Bern", "Riga", "Rome")):
            await made.say(f"Ada lives in {place}", at=MAY + 2 * day * DAY)
            await made.think()
        made.clock.now = MAY + 30 * DAY
        yield made


async def asked(ada: Mind, moment: float | None) -> Recall:
    """What recall finds."""
    return await ada.recaller.recall(ada.policy, ADA, "Where does Ada live?", ada.clock.now, moment)


async def believed(ada: Mind, moment: float | None) -> set[str]:
    """What was made and found."""
    return {hit.memory.text for hit in (await asked(ada, moment)).hits if hit.memory.thought}


async def test_each_time_has_its_belief(ada: Mind) -> None:
    """One at a time, from when it was said until another took its place; now it is the last."""
    days = [MAY - 1, MAY, MAY + 2 * DAY - 1, MAY + 2 * DAY, MAY + 4 * DAY, MAY + 90 * DAY]

    assert [await believed(ada, day) for day in days] == [
        set(),
        {"Ada lives in Bern"},
        {"Ada lives in Bern"},
        {"Ada lives in Riga"},
        {"Ada lives in Rome"},
        {"Ada lives in Rome"},
    ]
    assert await believed(ada, None) == {"Ada lives in Rome"}


async def test_what_was_said_later_is_not_there(ada: Mind) -> None:
    """Neither what is indexed nor what waits for it."""
    await ada.say("Ada lives in Oslo", at=MAY + 10 * DAY)

    texts = {hit.memory.text for hit in (await asked(ada, MAY + 3 * DAY)).hits}
    assert texts == {"Ada lives in Bern", "Ada lives in Riga"}
    waiting = {hit.memory.text for hit in (await asked(ada, MAY + 10 * DAY)).hits}
    assert "Ada lives in Oslo" in waiting


async def test_what_was_archived_or_edited_since_is_as_it_was(ada: Mind) -> None:
    """It counts as long as it was told, in the words that it had."""
    (turn,) = [m for m in (await ada.curator.memories.browse(ADA, Filter(kind="turn"))).items if "Bern" in m.text]
    await ada.curator.edit(ADA, turn.id, lambda memory: replace(memory, text="Ada lives in Basel", status="archived"))

    assert "Ada lives in Bern" in {hit.memory.text for hit in (await asked(ada, MAY + DAY)).hits}
    assert "Ada lives in Basel" not in {hit.memory.text for hit in (await asked(ada, None)).hits}


async def test_what_is_pinned_later_does_not_stand_at_the_head(ada: Mind) -> None:
    """Of what is pinned, what was believed then."""
    await ada.curator.add([replace((await ada.made())[0], id="note", kind="note", thought=None, pinned=True, at=MAY)])

    assert [m.id for m in await ada.recaller.pinned(ADA)] == ["note"]
    assert [m.id for m in await ada.recaller.pinned(ADA, MAY)] == ["note"]
    assert await ada.recaller.pinned(ADA, MAY - 1) == ()


async def test_relative_times_are_those_of_the_moment(ada: Mind) -> None:
    """ "Yesterday" is the day before the moment, since that is when it is as if asked."""
    asking = ada.recaller.recall(ada.policy, ADA, "What did I tell you yesterday?", ada.clock.now, MAY + 3 * DAY)

    assert {hit.memory.text for hit in (await asking).hits if not hit.dropped} >= {"Ada lives in Riga"}
