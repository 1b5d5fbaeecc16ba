"""The loop of post-thinking over real stores: when it begins, what ends it, and what a failing model costs."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from gateway.errors import ModelAway, Unusable
from gateway.memory.plan import Pace
from gateway.memory.policies.base import Study
from gateway.memory.policies.verbatim import Verbatim
from gateway.memory.records import Scope, Turn
from gateway.memory.reflections import Draft, Insert, Operation, Reflection, Spent
from gateway.memory.think import Thinker
from tests.contracts.samples import memory
from tests.support.mind import ADA, DAY, Mind, mind

BOB = Scope("acme", "bob")


@dataclass(frozen=True)
class Facts:
    """What the model is asked for."""

    facts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Noting(Verbatim):
    """Asks for facts of every batch, and keeps them; `batches` tells which turns came together."""

    name: str = "noting"
    thinks: bool = True
    batches: list[list[str]] = field(default_factory=list)

    async def reflect(self, turns: Sequence[Turn], study: Study) -> Sequence[Operation]:
        """Every fact rests on the whole batch."""
        self.batches.append([turn.user_text for turn in turns])
        told = "\n".join(turn.user_text for turn in turns)
        found = await study.ask(f"Facts, please:\n{told}", Facts)
        return [Insert(Draft("fact", fact, tuple(turn.id for turn in turns))) for fact in found.facts]


@pytest.fixture
async def ada(tmp_path: Path) -> AsyncIterator[Mind]:
    """A mind that thinks about three turns at a time, or after a minute, and may ask five times a day."""
    pace = Pace(turns=3, idle=60.0, chars=1000, calls=5)
    async with mind(tmp_path, Noting(), pace) as made:
        made.model.rules["Facts"] = {"facts": ["Ada keeps bees."]}
        yield made


def batches(mind: Mind) -> list[list[str]]:
    """Which turns came together."""
    assert isinstance(mind.policy, Noting)
    return mind.policy.batches


async def index(mind: Mind) -> None:
    """All that was said."""
    while await mind.curator.index(100):
        pass


async def test_a_silent_user_is_thought_about_after_a_while(ada: Mind) -> None:
    """Not before; and then once."""
    await ada.say("one")
    await index(ada)

    assert not await ada.thinker.think(ada.clock.now + 59)
    assert await ada.thinker.think(ada.clock.now + 61)
    assert not await ada.thinker.think(ada.clock.now + DAY)
    assert batches(ada) == [["one"]]


async def test_a_talkative_user_is_thought_about_at_once(ada: Mind) -> None:
    """With as many turns as make a batch; in the order they were said, the rest later."""
    for text in ("one", "two", "three", "four"):
        await ada.say(text)
    await index(ada)

    assert await ada.thinker.think(ada.clock.now)
    assert batches(ada) == [["one", "two", "three"]]


async def test_users_do_not_share_a_batch(ada: Mind) -> None:
    """Each is thought about alone, and what was made is theirs."""
    await ada.say("one")
    await ada.say("two", scope=BOB)
    await ada.think()

    assert sorted(batches(ada)) == [["one"], ["two"]]
    assert [m.scope for m in (*await ada.made(), *await ada.made(scope=BOB))] == [ADA, BOB]


async def test_a_long_turn_is_thought_about_alone(ada: Mind) -> None:
    """As much as fits into one look, one turn at the least."""
    for text in ("x" * 900, "y" * 900):
        await ada.say(text)
    await ada.think()

    assert [len(batch) for batch in batches(ada)] == [1, 1]


async def test_a_turn_that_goes_on_with_tools_waits(ada: Mind) -> None:
    """Thought about when its answer is there."""
    turn = await ada.say("one")
    await ada.curator.journal.append(replace(turn, ending="open"))
    await ada.think()
    assert batches(ada) == []

    await ada.curator.journal.append(replace(turn, reply_text="Done."))
    await ada.think()
    assert batches(ada) == [["one"]]


async def test_the_same_turn_told_again_is_not_thought_about_again(ada: Mind) -> None:
    """Unless something else was said."""
    turn = await ada.say("one")
    await ada.think()
    await ada.curator.journal.append(turn)
    await ada.think()
    assert batches(ada) == [["one"]]

    await ada.curator.journal.append(replace(turn, reply_text="Another answer."))
    await ada.think()
    assert batches(ada) == [["one"], ["one"]]


async def test_garbage_is_asked_for_again_once(ada: Mind) -> None:
    """With what was wrong; then it is used."""
    answers = iter(["no JSON at all", {"facts": ["Ada keeps bees."]}])
    ada.model.rules["Facts"] = lambda prompt: next(answers)
    await ada.say("one")
    made = await ada.think()

    assert [(r.state, r.calls) for r in made] == [("applied", 2)]
    assert "no JSON object" in ada.model.asked[1] and "no JSON at all" in ada.model.asked[1]


@pytest.mark.parametrize("answer", ["garbage", {"facts": "none"}, {"facts": [1]}, {}, Unusable("refused")])
async def test_a_useless_model_leaves_turns_as_they_were_said(ada: Mind, answer: object) -> None:
    """They are flagged with the reason, recalled as ever, and not tried for ever."""
    ada.model.rules["Facts"] = answer
    turn = await ada.say("Bees live in Riga")
    made = await ada.think()

    assert [(r.state, bool(r.error), r.turns) for r in made] == [("failed", True, (turn.id,))]
    assert "Bees live in Riga" in (await ada.told("Where do bees live in Riga?")).text
    assert await ada.thinker.agenda.waiting() == 0


async def test_a_model_that_is_away_is_asked_later(ada: Mind) -> None:
    """The turns stay due; when it is back they are thought about."""
    ada.model.rules["Facts"] = ModelAway("away")
    await ada.say("one")
    await index(ada)
    later = ada.clock.now + 61
    assert await ada.thinker.think(later)
    assert not await ada.thinker.think(later + 30)

    ada.model.rules["Facts"] = {"facts": []}
    assert await ada.thinker.think(later + 61)
    assert await ada.thinker.agenda.waiting() == 0


async def test_a_model_that_stays_away_is_given_up(ada: Mind) -> None:
    """After some tries the turns stay as they were said, flagged."""
    ada.model.rules["Facts"] = ModelAway("away")
    await ada.say("one")
    await index(ada)
    seen: list[Reflection] = []
    ada.thinker.told = seen.append
    for hour in range(10):
        await ada.thinker.think(ada.clock.now + 3600 * (hour + 1))

    assert [(r.state, r.error) for r in seen] == [("failed", "away")]


async def test_no_model_is_no_obstacle(ada: Mind) -> None:
    """The reason is told, and nothing waits."""
    ada.model.rules.clear()
    await ada.say("one")
    made = await ada.think()

    assert [r.state for r in made] == ["failed"] and await ada.thinker.agenda.waiting() == 0


async def test_a_bug_in_a_policy_costs_its_turns_their_thoughts(ada: Mind) -> None:
    """The next turns are thought about as if nothing had been."""
    ada.model.rules["Facts"] = KeyError("bug")
    await ada.say("one")
    assert [r.error for r in await ada.think()] == ["KeyError"]

    ada.model.rules["Facts"] = {"facts": ["Ada keeps bees."]}
    await ada.say("two")
    assert [r.state for r in await ada.think()] == ["applied"]


async def test_a_spent_budget_waits_for_the_next_day(ada: Mind) -> None:
    """Five calls a day; what came later is thought about tomorrow, and nothing is lost."""
    for number in range(6):
        await ada.say(f"turn {number}")
        await ada.think()
    assert len(ada.model.asked) == 5 and await ada.thinker.agenda.waiting() == 1

    assert await ada.thinker.think(ada.clock.now + DAY)
    assert len(ada.model.asked) == 6


async def test_two_writers_think_once(ada: Mind) -> None:
    """Whoever is second finds the turns taken, and changes nothing."""
    other = Thinker(
        ada.thinker.agenda, ada.curator.journal, ada.thinker.reviser, ada.model, ada.thinker.policies, Pace()
    )
    await ada.say("one")
    await index(ada)
    later = ada.clock.now + 61

    async def meanwhile(prompt: str) -> None:
        await other.agenda.wake(ADA, later)
        assert await other.think(later)

    class Slow(type(ada.model)):  # type: ignore[misc]
        async def ask(self, system, prompt, schema, images=()):  # type: ignore[no-untyped-def]
            await meanwhile(prompt)
            return await super().ask(system, prompt, schema, images)

    ada.thinker.asker = Slow(ada.model.rules)
    await ada.thinker.think(later)

    page = await ada.thinker.agenda.reflections(ADA)
    assert [(r.state, len(r.after)) for r in page.items] == [("applied", 1)]


async def test_who_is_stopped_leaves_the_user_to_the_next(ada: Mind) -> None:
    """In the middle of thinking: the turns are due still, and nobody waits for a lease."""
    await ada.say("one")
    await index(ada)
    later = ada.clock.now + 61
    asked = asyncio.Event()

    class Stuck(type(ada.model)):  # type: ignore[misc]
        async def ask(self, system, prompt, schema, images=()):  # type: ignore[no-untyped-def]
            asked.set()
            await asyncio.Event().wait()

    answering, ada.thinker.asker = ada.thinker.asker, Stuck()
    thinking = asyncio.create_task(ada.thinker.think(later))
    await asked.wait()
    thinking.cancel()
    await asyncio.wait({thinking})
    ada.thinker.asker = answering

    assert thinking.cancelled()
    assert await ada.thinker.think(later)
    assert [m.text for m in await ada.made()] == ["Ada keeps bees."]


async def test_what_cannot_be_carried_out_costs_its_turns_their_thoughts(ada: Mind) -> None:
    """Told of and not asked for again; the next turns are thought about as if nothing had been."""
    ada.model.rules["Facts"] = {"facts": ["poison for the embedder"]}
    await ada.say("one")
    assert [(r.state, r.error, r.calls) for r in await ada.think()] == [("failed", "IndexError", 1)]

    ada.model.rules["Facts"] = {"facts": ["Ada keeps bees."]}
    await ada.say("two")
    assert [r.state for r in await ada.think()] == ["applied"]


async def test_a_fault_ends_no_thinking(ada: Mind, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever raises, and for whom: others are thought about."""
    broken = Reflection("r", "noting", 1.0, (), after=(memory("poison", text="poison"),))
    await ada.thinker.agenda.intend(ADA, broken)
    await ada.say("two", scope=BOB)
    await index(ada)
    ada.clock.now += 61
    ada.thinker.every = 0.01
    running = asyncio.create_task(ada.thinker.run())
    try:
        async with asyncio.timeout(5):
            while not await ada.made(scope=BOB):
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        await asyncio.wait({running})

    assert "thinking failed" in caplog.text


async def test_calls_and_time_are_told(ada: Mind) -> None:
    """Every answer of a model, also one that was of no use; and how long it took."""
    answers = iter(["no JSON at all", {"facts": []}])
    ada.model.rules["Facts"] = lambda prompt: next(answers)
    heard: list[Spent] = []
    took: list[float] = []
    ada.thinker.heard, ada.thinker.took = heard.append, took.append
    await ada.say("one")
    await ada.think()

    assert [spent.calls for spent in heard] == [1, 1] and all(spent.tokens > 0 for spent in heard)
    assert len(took) == 1 and took[0] > 0
