"""ViLoMem: guidelines from what was told to be wrong, reasoning and seeing apart, merged where they are alike."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.memory.policies.vilomem import ViLoMem
from gateway.memory.records import Turn
from gateway.memory.thoughts import Feedback, Media, Outcome
from tests.support.mind import Mind, mind

TASK = "How long is a fence of 3 m and 2 yards"
UNITS = "When lengths have different units, convert them to one unit first."
WRONG: dict[str, Any] = {"turns": [1], "stream": "logical", "guideline": UNITS}
ONE: dict[str, Any] = {"were wrong": {"mistakes": [WRONG]}}


@pytest.fixture
async def ada(tmp_path: Path) -> AsyncIterator[Mind]:
    """A mind with this policy, and a model that finds one mistake of reasoning."""
    async with mind(tmp_path, ViLoMem(), **ONE) as made:
        yield made


async def answered(ada: Mind, outcome: Outcome, text: str = TASK, *media: Media, **mistake: Any) -> Turn:
    """A question whose answer somebody judged, and what the model says went wrong."""
    ada.model.rules["were wrong"] = {"mistakes": [{**WRONG, **mistake}]}
    turn = await ada.say(text, "5 in all", feedback=Feedback(outcome, None, "Units!", 1.0) if outcome else None)
    if media:
        await ada.curator.journal.append(replace(turn, media=media))
    await ada.think()
    return turn


async def test_a_failure_becomes_a_guideline_that_stands_in_the_next_prompt(ada: Mind) -> None:
    """In place of the wrong answer that it rests on."""
    await answered(ada, "failure")
    text = (await ada.told("Two lengths of different units")).text

    assert f"error: reasoning: {UNITS}" in text and "5 in all" not in text
    assert "[1] failure: Units!" in ada.model.asked[0]


@pytest.mark.parametrize("outcome", ["success", ""])
async def test_nothing_is_learned_where_nobody_called_it_a_failure(ada: Mind, outcome: Outcome) -> None:
    """And nobody is asked."""
    await answered(ada, outcome)

    assert await ada.made() == [] and ada.model.asked == []


async def test_feedback_that_is_taken_back_takes_the_guideline_with_it(ada: Mind) -> None:
    """The last told counts."""
    turn = await answered(ada, "failure")
    await ada.curator.journal.append(replace(turn, feedback=Feedback("success")))
    await ada.think()

    assert await ada.made() == []


@pytest.mark.parametrize(("merges", "left"), [(0.7, 1), (1.1, 2)])
async def test_guidelines_that_are_alike_are_merged(tmp_path: Path, merges: float, left: int) -> None:
    """By the model, from the cosine on that is set; the one rests on the turns of both."""
    rules: dict[str, Any] = {"Say these guidelines": {"guideline": "When units differ, convert. Then add. And so on."}}
    async with mind(tmp_path, ViLoMem(merges=merges), **rules) as ada:
        await answered(ada, "failure")
        await answered(ada, "failure", f"{TASK} again", guideline=f"{UNITS[:-1]} indeed.")
        made = await ada.made("error")

    assert len(made) == left
    if left == 1:
        assert made[0].text == "When units differ, convert. Then add." and len(made[0].sources) == 2


async def test_what_was_seen_wrongly_is_kept_apart(ada: Mind) -> None:
    """However alike the guidelines are; and where nobody showed a picture, nothing can have been misread."""
    picture = Media("image", "https://example.org/fence.png", 1)
    await answered(ada, "failure")
    await answered(ada, "failure", f"{TASK} here", picture, stream="visual", guideline=f"{UNITS[:-1]} shown.")
    await answered(ada, "failure", "What is this", stream="visual", guideline="Look twice at what nobody sent.")

    made = await ada.made("error")
    assert [m.thought.tags for m in made if m.thought] == [("logical",), ("visual",), ("logical",)]
    assert "Pictures and videos" in ada.model.asked[1] and "[1] has 1" in ada.model.asked[1]


@pytest.mark.parametrize("shown", [3, 1])
async def test_few_are_shown(tmp_path: Path, shown: int) -> None:
    """Those most like the question."""
    async with mind(tmp_path, ViLoMem(merges=1.1, shown=shown)) as ada:
        for word in ("alpha", "beta", "gamma", "delta", "epsilon"):
            await answered(ada, "failure", f"Question about {word}", guideline=f"When asked for {word}, think.")
        fitted = await ada.told("When asked for gamma, please")

    assert fitted.text.count("error: ") == shown and "gamma" in fitted.text
    assert sum(hit.dropped == "enough shown" for hit in fitted.hits) == 5 - shown


async def test_a_flood_is_capped(ada: Mind) -> None:
    """Hundreds of mistakes, long, empty, of turns that are not there."""
    flood = [{**WRONG, "turns": [0, 99], "guideline": f"{n} " + "x" * 90_000} for n in range(300)]
    ada.model.rules["were wrong"] = {"mistakes": [{**WRONG, "guideline": " "}, *flood]}
    await ada.say(TASK, "5", feedback=Feedback("failure"))
    (reflection,) = await ada.think()

    made = await ada.made()
    assert len(made) == 5 and all(len(m.text) <= 320 for m in made)
    assert reflection.refused == ("insert: says nothing",)
