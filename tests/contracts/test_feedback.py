"""Retainer.hear over every journal and its sessions: the right turn is journalled anew, and no other."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from gateway.errors import NotFound
from gateway.memory.ports import Journal, SessionStore
from gateway.memory.records import Scope, Turn
from gateway.memory.retain import Retainer
from gateway.memory.thoughts import Feedback
from tests.contracts.conftest import JOURNALS, SESSIONS
from tests.contracts.samples import ADA, BOB, trace, turn
from tests.support.model import Clock

GOOD = Feedback("success", 1.0, "Right.", 9.0)


@dataclass(frozen=True)
class Room:
    """What hears, and what it hears into."""

    journal: Journal
    sessions: SessionStore
    retainer: Retainer

    async def answered(self, id: str, scope: Scope = ADA, of: str = "turn", answer: str = "") -> Turn:
        """An answer with this trace to the question of a turn: traced, journalled, and at last concluded."""
        told = replace(trace(id, scope, of), answer="")
        await self.sessions.trace(told)
        kept = replace(turn(of, scope), trace=id)
        await self.journal.append(kept)
        await self.sessions.trace(replace(told, answer=answer))
        return kept

    async def feedback(self, scope: Scope = ADA, of: str = "turn") -> Feedback | None:
        """What was told of a turn."""
        (found,) = await self.journal.turns(scope, [of])
        return found.feedback


@pytest.fixture(params=JOURNALS)
async def room(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> AsyncIterator[Room]:
    """An empty one."""
    journals, stores = JOURNALS[request.param](tmp_path / "j", clock), SESSIONS[request.param](tmp_path / "s", clock)
    for folder in ("j", "s"):
        (tmp_path / folder).mkdir()
    async with journals() as journal, stores() as sessions:
        yield Room(journal, sessions, Retainer(journal, True, 5.0, sessions))


async def test_what_is_told_of_an_answer_is_journalled_with_its_turn(room: Room) -> None:
    """By its trace or its own id; it waits to be indexed again, and the last told counts."""
    kept = await room.answered("trace", answer="chatcmpl-1")
    await room.journal.done(await room.journal.claim(10))
    await room.retainer.hear(ADA, "trace", replace(GOOD, outcome="failure"))
    heard = await room.retainer.hear(ADA, "chatcmpl-1", GOOD)

    assert await room.feedback() == heard.feedback == GOOD
    (waiting,) = await room.journal.pending(ADA)
    assert (waiting.id, waiting.user_text, waiting.reply_text) == (kept.id, kept.user_text, kept.reply_text)


@pytest.mark.parametrize("of", ["trace", "chatcmpl-1"])
@pytest.mark.parametrize("scope", [BOB, Scope("other", ADA.user)])
async def test_nobody_else_can_tell_of_it(room: Room, of: str, scope: Scope) -> None:
    """Neither another user nor the same name at another tenant."""
    await room.answered("trace", answer="chatcmpl-1")
    with pytest.raises(NotFound):
        await room.retainer.hear(scope, of, GOOD)

    assert await room.feedback() is None


async def test_an_answer_that_was_given_anew_takes_none(room: Room) -> None:
    """It would be told of the other one."""
    await room.answered("first", answer="chatcmpl-1")
    await room.answered("second", answer="chatcmpl-2")
    for of in ("first", "chatcmpl-1", "never", ""):
        with pytest.raises(NotFound):
            await room.retainer.hear(ADA, of, GOOD)

    assert await room.feedback() is None
    await room.retainer.hear(ADA, "chatcmpl-2", GOOD)
    assert await room.feedback() == GOOD


async def test_a_turn_that_is_deleted_meanwhile_does_not_come_back(room: Room) -> None:
    """Who tells of it waits for who deletes it."""
    await room.answered("trace")
    async with room.journal.hold(ADA):
        hearing = asyncio.create_task(room.retainer.hear(ADA, "trace", GOOD))
        await asyncio.sleep(0.05)
        await room.journal.erase(ADA, ["turn"])
    with pytest.raises(NotFound):
        await hearing

    assert await room.journal.count(ADA) == 0


async def test_its_text_is_cleaned(room: Room) -> None:
    """No secret, nothing that we recalled."""
    await room.answered("trace")
    text = " Wrong: <mneme-memory note='x'>told before</mneme-memory> the key is AKIAIOSFODNN7EXAMPLE "
    await room.retainer.hear(ADA, "trace", replace(GOOD, text=text))
    told = await room.feedback()

    assert told and told.text.startswith("Wrong: the key is ") and "AKIA" not in told.text and "before" not in told.text
