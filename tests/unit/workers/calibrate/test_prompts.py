"""What is hidden and what asks for it, to the token."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.calibrate.prompts import Hidden, Prompt, Shape, passkey, prompt, words
from workers.kv.errors import PolicyRefused

FILLER = [1] * 50
WORDS = list(range(100, 200))
SMALL = st.integers(0, 40)


@st.composite
def made(draw: st.DrawFn) -> tuple[Shape, list[Hidden], Prompt]:
    """A prompt that has room for what it hides, from none to spare to plenty."""
    chance = random.Random(draw(st.integers()))
    hidden = [words(chance, WORDS, number) for number in draw(st.lists(st.integers(2, 30), min_size=1, max_size=5))]
    sink, window = draw(SMALL), draw(SMALL)
    length = max(1, sink) + window + sum(2 * len(each.said) for each in hidden) + draw(SMALL)
    shape = Shape(length, sink, window)
    return shape, hidden, prompt(shape, hidden, FILLER, 0, chance)


def spelled(text: str) -> list[int]:
    """A tokenizer with a token per letter."""
    return [ord(letter) for letter in text]


@given(made())
def test_what_is_asked_for_is_out_of_reach_of_sinks_and_window(case: tuple[Shape, list[Hidden], Prompt]) -> None:
    """Every asked token stands in its span as well; no span reaches into the sinks or the first query's window."""
    shape, _, found = case

    assert len(found.tokens) == shape.length
    for at, span in zip(found.asked, found.spans, strict=True):
        assert found.tokens[at + 1] in found.tokens[span.start : span.stop]
        assert shape.sink <= span.start
        assert span.stop <= found.asked[0] - shape.window


@given(made())
def test_what_was_hidden_is_said_again_in_order(case: tuple[Shape, list[Hidden], Prompt]) -> None:
    """Each in a place of its own; the end of the prompt is all of it, one behind the other."""
    _, hidden, found = case
    places = list(dict.fromkeys(found.spans))

    assert [found.tokens[place.start : place.stop] for place in places] == [each.said for each in hidden]
    assert all(one.stop <= other.start for one, other in pairwise(places))
    said = [token for each in hidden for token in each.again]
    assert found.tokens[-len(said) :] == said


def test_the_same_seed_makes_the_same_prompt() -> None:
    """And another one another."""

    def drawn(seed: int) -> Prompt:
        chance = random.Random(seed)
        return prompt(Shape(200, 8, 32), [words(chance, WORDS, 8)], FILLER, 0, chance)

    assert drawn(1) == drawn(1)
    assert drawn(1).tokens != drawn(2).tokens


def test_a_pass_key_is_asked_for_digit_by_digit() -> None:
    """The answer is what follows the question's last word: the key, as the needle says it."""
    hidden = passkey(random.Random(4), spelled, "The key is {key}. ", "What is it? It is {key}, I think.")
    key = "".join(map(chr, (hidden.again[at] for at in hidden.answer)))

    assert "".join(map(chr, hidden.said)) == f"The key is{key}. "
    assert "".join(map(chr, hidden.again)) == f"What is it? It is{key}"
    assert [digit.isdigit() for digit in key.split()] == [True] * 5


def test_a_text_without_a_place_for_the_key_is_refused() -> None:
    """It would ask for what was never said."""
    with pytest.raises(PolicyRefused, match="in both texts"):
        passkey(random.Random(0), spelled, "The key is secret.", "What is it? {key}")


def test_a_prompt_without_room_names_the_length_that_has_it() -> None:
    """Sinks, window and what is hidden, twice."""
    hidden = [words(random.Random(0), WORDS, 8)] * 4
    with pytest.raises(PolicyRefused, match="--length 104 has"):
        prompt(Shape(103, 8, 32), hidden, FILLER, 0, random.Random(0))

    assert len(prompt(Shape(104, 8, 32), hidden, FILLER, 0, random.Random(0)).tokens) == 104
