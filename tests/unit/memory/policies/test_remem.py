"""ReMem: experiences that a model goes over by their numbers, and failures that teach nothing left out."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.memory.policies.remem import ReMem
from gateway.memory.records import Turn
from gateway.memory.thoughts import Feedback, Outcome
from tests.support.mind import Mind, mind

TASK = "Sort the list 3 1 2 in ascending order"
LIKE = "Sort the list 9 8 in ascending order"
NOTHING: dict[str, Any] = {"prune": [], "rewrite": [], "hollow": []}
QUIET: dict[str, Any] = {"You keep experiences": NOTHING}


@pytest.fixture
async def ada(tmp_path: Path) -> AsyncIterator[Mind]:
    """A mind with this policy, and a model that finds nothing to refine until a test has it do so."""
    async with mind(tmp_path, ReMem(), **QUIET) as made:
        yield made


async def tried(ada: Mind, task: str, answer: str, outcome: Outcome = "", text: str = "", **refine: Any) -> Turn:
    """A task and its answer, what was said of it, and what the model makes of it."""
    ada.model.rules["You keep experiences"] = {**NOTHING, **refine}
    feedback = Feedback(outcome, None, text, ada.clock.now) if outcome else None
    turn = await ada.say(task, answer, feedback=feedback)
    (reflection,) = await ada.think()
    assert reflection.refused == () and reflection.state == "applied"
    return turn


async def test_new_experiences_are_kept_and_known_ones_refined_in_one_pass(ada: Mind) -> None:
    """One is said anew under its task, one leaves, by the numbers that the prompt gives them."""
    await tried(ada, TASK, "first I would think about it at length, and then say 1 2 3", "success")
    await tried(ada, "Sort the list 5 4 in ascending order", "it is 5 4 I guess")
    prompt_order = {"prune": [2], "rewrite": [{"number": 1, "answer": "Swap neighbours until nothing moves."}]}
    ada.model.rules["You keep experiences"] = {**NOTHING, **prompt_order}
    await ada.say("Sort the list 3 1 2 7 in ascending order", "1 2 3 7 it is")
    await ada.think()

    assert "[1] success Sort the list 3 1 2 in ascending order | first I would" in ada.model.asked[-1]
    text = (await ada.told(LIKE)).text
    assert "Sort the list 3 1 2 in ascending order | assistant: Swap neighbours until nothing moves." in text
    assert "1 2 3 7 it is" in text and "I guess" not in text and "at length" not in text


async def test_what_was_pruned_does_not_come_back_as_its_turn(ada: Mind) -> None:
    """It is still there, and the trace says why it is not shown; told of an outcome it is an experience again."""
    first = await tried(ada, TASK, "3 2 1 I believe")
    await tried(ada, LIKE, "8 9 of course", prune=[1])
    fitted = await ada.told(TASK)
    assert "I believe" not in fitted.text and "pruned" in {hit.dropped for hit in fitted.hits}

    ada.model.rules["You keep experiences"] = NOTHING
    await ada.curator.journal.append(replace(first, feedback=Feedback("success")))
    await ada.think()
    assert "I believe" in (await ada.told(TASK)).text


async def test_a_failure_that_teaches_nothing_is_left_out(ada: Mind) -> None:
    """The model says which; a success or an answer that nobody judged it cannot call hollow."""
    await tried(ada, TASK, "3 2 1 I believe", "failure", "No.", hollow=[1])
    await tried(ada, LIKE, "8 9 of course", "success", hollow=[1])
    text = (await ada.told(TASK)).text

    assert "I believe" not in text and "8 9 of course" in text


async def test_without_a_model_a_failure_without_a_word_is_hollow(ada: Mind) -> None:
    """One that somebody explained is kept, and nothing is refined."""
    ada.model.rules.clear()
    for answer, text in (("3 2 1 I believe", ""), ("2 1 3 perhaps", "Begin with the least.")):
        await ada.say(TASK, answer, feedback=Feedback("failure", None, text, 1.0))
    await ada.think()
    text = (await ada.told(TASK)).text

    assert "I believe" not in text and "experience (failure)" in text and "Begin with the least." in text


@pytest.mark.parametrize("changed", [1, 8])
async def test_a_model_that_babbles_does_little_harm(tmp_path: Path, changed: int) -> None:
    """Numbers nobody gave out, one pruned and rewritten at once, twice rewritten, too many, too long, empty."""
    async with mind(tmp_path, ReMem(changed=changed, longest=3), **QUIET) as ada:
        for number in range(4):
            await tried(ada, f"{TASK} {number}", f"answer number {number} given")
        flood = [{"number": n, "answer": "a b c d " * 900} for n in (0, -7, 2, 3, 10**9)]
        wrong = [*flood, {"number": 4, "answer": " "}, {"number": 3, "answer": "another"}]
        await tried(ada, LIKE, "8 9 of course", prune=[2, 2, 99, -1], rewrite=wrong, hollow=[5])
        made = await ada.made("experience")

    assert [m.thought.tags for m in made if m.thought].count(("pruned",)) == 1
    assert [m.reply for m in made].count("a b c") == (1 if changed > 1 else 0)
