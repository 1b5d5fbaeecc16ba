"""Pass keys in filler. Knows no model."""

import random

import pytest
from tokenizers import Tokenizer

from tests.bench_kv.model.tasks import DIGITS, Passkeys, drawn

BOS, FILLER = 0, [900] * 4096


@pytest.fixture
def passkeys(words: Tokenizer) -> Passkeys:
    """In the small vocabulary."""
    return Passkeys(lambda said: words.encode(said, add_special_tokens=False).ids, BOS)


@pytest.mark.parametrize("at", [1, 32, 50, 64])
def test_a_needle_lies_where_it_was_asked_for(passkeys: Passkeys, at: int) -> None:
    """At the first token of a block, or across the border of two."""
    hidden = passkeys.hidden(FILLER, "48159", 160, at)

    assert hidden.needle.start == at
    assert [hidden.prompt[i] for i in hidden.needle] == passkeys.needle("48159")


def test_a_prompt_has_the_length_that_was_asked_for(passkeys: Passkeys) -> None:
    """To the token, with BOS in front and the question at the end."""
    prompt = passkeys.hidden(FILLER, "48159", 160, 32).prompt

    assert len(prompt) == 160
    assert prompt[0] == BOS
    assert prompt[-len(passkeys.question) :] == passkeys.question


def test_the_answer_is_the_digits_of_the_needle(passkeys: Passkeys) -> None:
    """Token by token, as they stand in the needle."""
    answer, needle = passkeys.answer("48159"), passkeys.needle("48159")

    assert len(answer) == DIGITS
    assert any(needle[i : i + DIGITS] == answer for i in range(len(needle)))


def test_depth_runs_from_bos_to_the_question(passkeys: Passkeys) -> None:
    """0 is as far as possible, 1 as near as possible."""
    first, last = (passkeys.deep(FILLER, "48159", 200, depth).needle for depth in (0.0, 1.0))

    assert first.start == 1
    assert last.stop == 200 - len(passkeys.question)


@pytest.mark.parametrize(("length", "at"), [(200, 0), (200, 190), (8000, 1)])
def test_what_cannot_be_hidden_is_refused(passkeys: Passkeys, length: int, at: int) -> None:
    """Before BOS, into the question, or without enough filler."""
    with pytest.raises(ValueError, match="no room"):
        passkeys.hidden(FILLER, "48159", length, at)


def test_keys_are_equal_for_equal_seeds() -> None:
    """And five digits, any of which may come twice."""
    keys = [drawn(random.Random(seed)) for seed in range(200)]

    assert keys == [drawn(random.Random(seed)) for seed in range(200)]
    assert {len(key) for key in keys} == {DIGITS}
    assert any(len(set(key)) < DIGITS for key in keys)
