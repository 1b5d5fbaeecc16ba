"""Captions: one for every picture and video, seen where somebody can look; of too many the most alike become one."""

import itertools
import math
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ModelAway
from gateway.memory.captions import Album, captioned, merged, neighbours
from gateway.memory.compose import SEEN
from gateway.memory.policies.hindsight import Hindsight
from gateway.memory.policies.verbatim import Verbatim
from gateway.memory.records import Memory, Scope, Turn
from gateway.memory.reflections import Insert, Merge
from gateway.memory.thoughts import Media, Thought
from tests.support.mind import Mind, mind

URL = "https://pictures.example/hives.png"
IMAGE, VIDEO, BYTES = Media("image", URL, 1), Media("video", URL, 2), Media("image", f"sha256:{'0' * 64}", 3)
CAPTION = "Seven blue hives in a row by a river."


@pytest.fixture
async def ada(tmp_path: Path) -> AsyncIterator[Mind]:
    """A mind whose policy thinks about nothing."""
    async with mind(tmp_path, Verbatim()) as made:
        yield made


async def show(ada: Mind, *media: Media, text: str = "Look at my bees!") -> Turn:
    """A turn that shows something, thought about."""
    turn = replace(await ada.say(text), media=media)
    await ada.curator.journal.append(turn)
    await ada.think()
    return turn


def sees(ada: Mind, caption: object = CAPTION) -> None:
    """A model that looks at pictures."""
    ada.thinker.seer = ada.model
    ada.model.rules["what this picture shows"] = caption if isinstance(caption, Exception) else {"caption": caption}


async def test_nobody_sees_and_what_was_said_is_kept(ada: Mind) -> None:
    """Under where the picture lies, when it was shown, whatever the policy."""
    turn = await show(ada, IMAGE, BYTES)
    captions = await ada.made("caption")

    assert {c.text for c in captions} == {"An image shown with: Look at my bees!"}
    assert {c.thought.title for c in captions if c.thought} == {URL, BYTES.reference}
    assert all(c.sources == (turn.id,) and c.thought and c.thought.occurred == (turn.at, turn.at + 1) for c in captions)


async def test_a_model_that_sees_is_shown_what_lies_at_a_url(ada: Mind) -> None:
    """And neither a video nor bytes that are gone."""
    sees(ada)
    await show(ada, IMAGE, VIDEO, BYTES)

    assert [*map(list, ada.model.images)] == [[URL]]
    assert [c.text for c in await ada.made("caption") if c.thought and c.thought.tags == (SEEN,)] == [CAPTION]


async def test_what_was_seen_is_recalled_beside_its_turn(ada: Mind) -> None:
    """For the words of the turn do not hold it."""
    sees(ada)
    await show(ada, IMAGE)
    fitted = await ada.told("Look, how many blue hives are in a row by the river with my bees?")

    assert CAPTION in fitted.text and "Look at my bees!" in fitted.text


async def test_no_picture_is_looked_at_twice(ada: Mind) -> None:
    """Also when its turn is thought about again."""
    sees(ada)
    turn = await show(ada, IMAGE)
    await ada.curator.journal.append(replace(turn, reply_text="Lovely, all seven of them."))
    await ada.think()

    assert len(ada.model.asked) == 1 and len(await ada.made("caption")) == 1


async def test_few_pictures_of_a_turn_are_looked_at(ada: Mind) -> None:
    """The others have captions all the same."""
    sees(ada)
    await show(ada, *(replace(IMAGE, part=part) for part in range(9)))

    assert len(ada.model.asked) == 4 and len(await ada.made("caption")) == 9


@pytest.mark.parametrize("caption", ["", "  ", "x" * 100_000])
async def test_what_a_model_says_is_held_to_a_caption(ada: Mind, caption: str) -> None:
    """Nothing leaves what was said, a book is cut."""
    sees(ada, caption)
    await show(ada, IMAGE)
    (made,) = await ada.made("caption")

    assert made.text == ("x" * 600 if caption.strip() else "An image shown with: Look at my bees!")


async def test_a_model_that_is_away_is_waited_for(ada: Mind) -> None:
    """Nothing is captioned without it meanwhile."""
    sees(ada, ModelAway("away"))
    turn = replace(await ada.say("Look!"), media=(IMAGE,))
    await ada.curator.journal.append(turn)
    await ada.curator.index(10)
    await ada.thinker.think(ada.clock.now + 60)

    assert await ada.made("caption") == [] and await ada.thinker.agenda.waiting() == 1


async def test_a_policy_that_thinks_is_not_shown_them_as_its_own(tmp_path: Path) -> None:
    """It would take them for its facts."""
    async with mind(tmp_path, Hindsight()) as ada:
        turn = replace(await ada.say("Look!"), media=(IMAGE,))
        made = await captioned([turn], ada.study())
        await ada.curator.journal.append(turn)

        assert [operation.draft.kind for operation in made if isinstance(operation, Insert)] == ["caption"]
        assert await ada.study().own() == []


async def test_over_the_budget_the_most_alike_become_one(ada: Mind) -> None:
    """Which rests on the turns of both."""
    first = await show(ada, IMAGE, text="The hives by the river in May.")
    second = await show(ada, IMAGE, text="The hives by the river in May!")
    await show(ada, IMAGE, text="Our boat.")
    turn = replace(await ada.say("A letter."), media=(IMAGE,))
    made = await captioned([turn], ada.study(), Album(most=3))
    (merge,) = [operation for operation in made if isinstance(operation, Merge)]
    captions = {memory.id: memory for memory in await ada.made("caption")}

    assert [captions[id].sources for id in merge.ids] == [(first.id,), (second.id,)]
    assert merge.draft.tags == (SEEN, "tier 1") and len(made) == 2
    assert len(await captioned([turn], ada.study(), Album(most=4))) == 1


def caption(id: int, text: str = "", tier: int = 0) -> Memory:
    """A caption."""
    thought = Thought("p", tags=(SEEN, f"tier {tier}") if tier else (), occurred=(float(id), id + 1.0))
    return Memory(str(id), Scope("t", "u"), "", text or f"caption {id}.", kind="caption", at=float(id), thought=thought)


def test_every_tier_says_it_in_fewer_words() -> None:
    """The time is that of both."""
    long = "One sentence of forty letters or so here. " * 40
    sizes = [len(merged(caption(1, long, tier), caption(2, long[5:], tier), Album()).text) for tier in range(4)]
    draft = merged(caption(1), caption(5), Album())

    assert sizes[0] <= 403 and sizes == sorted(sizes, reverse=True) and sizes[3] <= 83
    assert (draft.text, draft.occurred) == ("caption 1. / caption 5.", (1.0, 6.0))


@given(st.lists(st.floats(0, math.pi), max_size=12), st.integers(0, 8), st.floats(-1, 1))
def test_neighbours_are_alike_few_and_never_shared(angles: list[float], count: int, alike: float) -> None:
    """In the order of their time; and no pair is left out for one that is less alike."""
    line = [(caption(i), [math.cos(a), math.sin(a)]) for i, a in enumerate(angles)]
    pairs = [(int(a.id), int(b.id)) for a, b in neighbours(line, count, alike)]
    likeness = [math.cos(a - b) for a, b in itertools.pairwise(angles)]

    assert pairs == sorted(pairs) and all(b == a + 1 and likeness[a] >= alike - 1e-9 for a, b in pairs)
    assert len(pairs) <= count and len({id for pair in pairs for id in pair}) == 2 * len(pairs)
    if pairs:
        assert max(likeness[a] for a, _ in pairs) >= max(likeness) - 1e-9
