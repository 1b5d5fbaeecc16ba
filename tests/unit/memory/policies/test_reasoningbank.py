"""ReasoningBank: strategies from what went well and what did not, found by the task that taught them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.memory.policies.reasoningbank import Lessons, ReasoningBank, Strategy, Verdict, label
from gateway.memory.records import Candidate, Memory, Scope, Turn, Vector
from gateway.memory.reflections import Draft, Insert
from gateway.memory.thoughts import Feedback, Media, Outcome
from tests.support.mind import Mind, mind

TASK = "Sort the list 3 1 2 in ascending order"
LIKE = "Sort the list 9 8 in ascending order"
ONE = {"title": "Check neighbours", "description": "Use it for small lists.", "content": "Compare and swap."}
TWO = {"title": "Say the order", "description": "Use it always.", "content": "Repeat what is asked."}
BAD = {"title": "Mind the direction", "description": "Use it for orders.", "content": "Ascending begins low."}


@pytest.fixture
async def ada(tmp_path: Path) -> AsyncIterator[Mind]:
    """A mind with this policy, and a model that judges well and draws two strategies from it, or one from failure."""
    rules: dict[str, Any] = {
        "Did the assistant do": {"why": "It is sorted.", "success": True},
        "did this well": {"why": "Small steps.", "strategies": [ONE, TWO]},
        "did not do this": {"why": "Wrong way round.", "strategies": [BAD]},
        "several attempts": {"why": "One swaps.", "strategies": [ONE, TWO, BAD]},
    }
    async with mind(tmp_path, ReasoningBank(), **rules) as made:
        yield made


async def tell(ada: Mind, turn: Turn, outcome: Outcome) -> None:
    """What somebody says of an answer, later."""
    await ada.curator.journal.append(replace(turn, feedback=Feedback(outcome, None, "", ada.clock.now)))
    await ada.think()


async def test_a_task_like_a_past_one_gets_all_its_strategies(ada: Mind) -> None:
    """Each as a line with its outcome, title, when to use it and what to do; and no other task's."""
    await ada.say(TASK, "1 2 3, by comparing neighbours")
    await ada.think()
    fitted = await ada.told(LIKE)

    for each in (ONE, TWO):
        assert f"strategy (success): {each['title']}: {each['description']} {each['content']}" in fitted.text
    assert "Check neighbours" not in (await ada.told("Compose poetry regarding waves")).text


async def test_an_attempt_that_failed_teaches_what_to_avoid(ada: Mind) -> None:
    """Somebody said so: the judge is not asked, and another prompt draws the strategies."""
    await ada.say(TASK, "3 2 1", feedback=Feedback("failure", None, "Descending.", ada.clock.now))
    await ada.think()

    (strategy,) = await ada.made("strategy")
    assert strategy.thought and (strategy.thought.title, strategy.thought.outcome) == ("Mind the direction", "failure")
    (prompt,) = ada.model.asked
    assert "did not do this" in prompt and "[1] failure: Descending." in prompt


async def test_feedback_overrules_the_judge(ada: Mind) -> None:
    """What was drawn from a success that was none is gone, and the experience is its next version."""
    turn = await ada.say(TASK, "3 2 1")
    await ada.think()
    assert {m.thought.outcome for m in await ada.made() if m.thought} == {"success"}

    await tell(ada, turn, "failure")
    assert {m.thought.title for m in await ada.made("strategy") if m.thought} == {"Mind the direction"}
    (experience,) = await ada.made("experience")
    assert experience.version == 2 and experience.thought and experience.thought.outcome == "failure"


async def test_attempts_at_one_task_are_contrasted(ada: Mind) -> None:
    """In one prompt, told which did what; of a mixed lot nothing is labelled a success."""
    good, bad = (Feedback(outcome, None, "", 1.0) for outcome in ("success", "failure"))
    for reply, feedback in (("1 2 3", good), ("3 2 1", bad)):
        await ada.say(TASK, reply, feedback=feedback)
    await ada.think()

    (prompt,) = ada.model.asked
    assert "[1] succeeded, [2] failed" in prompt and "at most 5" in prompt
    made = await ada.made("strategy")
    assert [m.thought.outcome for m in made if m.thought] == ["", "", ""]
    assert (await ada.told(LIKE)).text.count("strategy: ") == 3


async def test_one_of_several_attempts_that_is_told_of_stands_for_itself(ada: Mind) -> None:
    """What was drawn from all of them rests on a label that nobody stands by any more."""
    turns = [await ada.say(TASK, reply) for reply in ("1 2 3", "3 2 1")]
    await ada.think()
    await tell(ada, turns[1], "failure")

    assert {m.sources for m in await ada.made("strategy")} == {(turns[1].id,)}


@pytest.mark.parametrize(("shown", "tasks"), [(1, 1), (2, 2)])
async def test_few_past_tasks_are_shown(tmp_path: Path, shown: int, tasks: int) -> None:
    """One, unless told otherwise: the paper found more to be worse."""
    rules: dict[str, Any] = {"Did the assistant": {"why": "", "success": True}}
    async with mind(tmp_path, ReasoningBank(shown=shown), **rules) as ada:
        for number, task in enumerate((TASK, f"{LIKE} please")):
            strategy = {"title": f"Of task {number}", "description": "", "content": "Do it."}
            ada.model.rules["did this well"] = {"why": "", "strategies": [strategy]}
            await ada.say(task, "1 2 3 are sorted")
            await ada.think()

        assert (await ada.told(LIKE)).text.count("Of task") == tasks


async def test_what_was_just_said_is_there_and_without_a_model_remains(ada: Mind) -> None:
    """Read your writes; and a batch that nobody could think about is flagged and kept as it was said."""
    ada.model.rules.clear()
    await ada.say("My sister Ada keeps bees in Riga")
    question = "Where does my sister Ada keep bees?"
    assert "Riga" in (await ada.told(question)).text

    (reflection,) = await ada.think()
    assert reflection.state == "failed" and "Riga" in (await ada.told(question)).text


async def test_what_was_shown_is_known_though_no_model_thinks_of_it(ada: Mind) -> None:
    """Captions are no policy's doing; that the policy made nothing is told all the same."""
    ada.model.rules.clear()
    await ada.say("These are my hives in Riga", media=[Media("image", "https://pictures.example/hives.png", 1)])

    (reflection,) = await ada.think()
    assert reflection.state == "applied" and reflection.error
    assert [memory.text for memory in await ada.made()] == ["An image shown with: These are my hives in Riga"]


async def test_a_flood_is_capped(ada: Mind) -> None:
    """Thousands of strategies, long ones, empty ones."""
    flood = [{"title": "t" * 9000, "description": "d" * 9000, "content": "c" * 9000}] * 2000
    ada.model.rules["did this well"] = {"why": "", "strategies": [{**ONE, "content": " "}, *flood]}
    await ada.say(TASK, "1 2 3")
    (reflection,) = await ada.think()

    assert reflection.refused == () and len(await ada.made("strategy")) == 3
    assert all(len(m.text) < 1000 for m in await ada.made())


class Judging:
    """A study in which nothing is known and a judge says what it is told to say."""

    now = 1.0

    def __init__(self, verdicts: Sequence[bool]) -> None:
        self.verdicts = list(verdicts)

    async def get(self, ids: Sequence[str]) -> list[Memory]:
        """Nothing."""
        return []

    async def own(self, *kinds: object) -> list[Memory]:
        """Nothing."""
        return []

    async def said(self) -> list[Memory]:
        """Nothing."""
        return []

    async def like(self, text: str, **_: object) -> list[Candidate]:
        """Nothing."""
        return []

    async def vectors(self, texts: Sequence[str]) -> list[Vector]:
        """Nothing."""
        return []

    async def ask(self, prompt: str, shape: type[Any], *, system: str = "", **_: object) -> Any:
        """A verdict, or five strategies."""
        return Verdict("", self.verdicts.pop()) if shape is Verdict else Lessons("", (Strategy("t", "d", "c"),) * 5)


outcomes: st.SearchStrategy[Outcome] = st.sampled_from(["success", "failure", ""])


@given(st.lists(st.tuples(st.sampled_from("ab"), outcomes), min_size=1, max_size=6), st.booleans())
async def test_what_was_told_to_have_failed_is_never_labelled_a_success(
    attempts: list[tuple[str, Outcome]], judged: bool
) -> None:
    """Whatever the judge says, and whatever it stands beside (the authors' own script gets this wrong)."""
    turns = [
        Turn(f"{n:032}", Scope("t", "u"), "s", "c", 1.0, task, "done", feedback=Feedback(outcome))
        for n, (task, outcome) in enumerate(attempts)
    ]
    made = await ReasoningBank().reflect(turns, Judging([judged] * 6))
    drafts = [operation.draft for operation in made if isinstance(operation, Insert)]
    failed = {turn.id for turn in turns if turn.feedback and turn.feedback.outcome == "failure"}

    assert _resting(drafts) >= failed
    assert all(draft.outcome != "success" for draft in drafts if failed & {*draft.sources})


def _resting(drafts: Sequence[Draft]) -> set[str]:
    return {source for draft in drafts for source in draft.sources}


@given(st.lists(outcomes, min_size=1))
def test_attempts_that_disagree_have_no_label(told: list[Outcome]) -> None:
    """Else theirs."""
    assert label(told) == (told[0] if set(told) == {told[0]} else "")
