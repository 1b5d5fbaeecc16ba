"""ExpRAG: tasks, what was answered, and how it did; the few that are most like the task at hand."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.memory.policies.exprag import ExpRag
from gateway.memory.thoughts import Feedback, Media, Outcome
from tests.support.mind import Mind, mind

TASK = "Sort the list 3 1 2 in ascending order"


@pytest.fixture
async def ada(tmp_path: Path) -> AsyncIterator[Mind]:
    """A mind with this policy."""
    async with mind(tmp_path, ExpRag()) as made:
        yield made


async def tried(ada: Mind, task: str, answer: str, outcome: Outcome = "", text: str = "") -> None:
    """A task, its answer, and later what somebody said of it."""
    turn = await ada.say(task, answer)
    await ada.think()
    if outcome:
        feedback = Feedback(outcome, None, text, ada.clock.now)
        await ada.curator.journal.append(replace(turn, feedback=feedback))
        await ada.think()


async def test_what_was_tried_at_a_task_like_this_is_shown(ada: Mind) -> None:
    """With the answer, its fate and what was said of it; once, and no other task."""
    await tried(ada, TASK, "1 2 3, by comparing neighbours", "success", "Right and fast.")
    await tried(ada, "Compose poetry regarding waves", "They roll and roll.")
    fitted = await ada.told("Sort the list 9 8 in ascending order")

    line = "experience (success): Sort the list 3 1 2 in ascending order | assistant: 1 2 3, by comparing neighbours"
    assert f"{line} Told of it: Right and fast." in fitted.text
    assert fitted.text.count("Sort the list") == 1 and "waves" not in fitted.text


async def test_feedback_makes_the_next_version(ada: Mind) -> None:
    """The experience is the same one."""
    await tried(ada, TASK, "3 2 1, I believe", "failure")
    (made,) = await ada.made("experience")

    assert made.version == 2 and made.thought and made.thought.outcome == "failure"


async def test_a_turn_stands_for_itself_until_it_is_thought_about(ada: Mind) -> None:
    """Read your writes: what was said a moment ago is there already."""
    await ada.say(TASK, "1 2 3, by comparing neighbours")

    assert "comparing neighbours" in (await ada.told(TASK)).text


async def test_what_a_picture_showed_is_shown_behind_experiences(ada: Mind) -> None:
    """As the ranker judges it; by the words alone it is no more than the experience says."""
    ada.thinker.seer = ada.model
    ada.model.rules["what this picture shows"] = {"caption": "Seven blue hives in a row by a river."}
    turn = await ada.say("Look what I painted!", "How nice that is.")
    shown = tuple(Media("image", place, at) for at, place in enumerate(("https://pictures.example/a.png", "sha256:b")))
    await ada.curator.journal.append(replace(turn, media=shown))
    await ada.think()

    told = await ada.told("How many blue hives stand in a row by the river?")
    assert "caption: https://pictures.example/a.png: Seven blue hives" in told.text
    fitted = await ada.told("Look what I painted!")
    assert "experience" in fitted.text and "shown with" not in fitted.text


async def test_only_a_few_are_shown(ada: Mind) -> None:
    """The paper's four; what succeeded first, of tasks that are equally alike."""
    for number in range(6):
        await tried(ada, TASK, f"answer number {number} given", "success" if number == 5 else "failure")
    fitted = await ada.told(TASK)

    assert fitted.text.count("experience") == 4 and "answer number 5" in fitted.text
    assert sum(hit.dropped == "enough shown" for hit in fitted.hits) == 2
