"""What the benchmark's model is shown. Knows no model."""

import pytest
from tokenizers import Tokenizer

from tests.bench_kv.model.lessons import Lesson, Lessons
from tests.bench_kv.model.tasks import Passkeys
from tests.bench_kv.model.tokenizer import SPECIAL, USER, VOCABULARY

TEXT = [VOCABULARY + i for i in range(1000)]  # no token of the vocabulary, so that text is told from the rest
PLAIN = range(len(SPECIAL), 300)
KINDS = {"reading": (1, 0, 0), "repeating": (0, 1, 0), "asking": (0, 0, 1)}


def drawn(words: Tokenizer, kind: str, seed: int = 0, number: int = 50) -> list[Lesson]:
    """Lessons of one kind, of 129 tokens."""
    lessons = Lessons(TEXT, lambda said: words.encode(said, add_special_tokens=False).ids, 0, PLAIN, seed)
    return [lessons.drawn(129, KINDS[kind]) for _ in range(number)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_lesson_has_its_length_and_starts_with_bos(words: Tokenizer, kind: str) -> None:
    """Whatever it is about; each token has a weight."""
    for lesson in drawn(words, kind):
        assert len(lesson.tokens) == len(lesson.weights) == 129
        assert lesson.tokens[0] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_equal_seeds_give_equal_lessons(words: Tokenizer, kind: str) -> None:
    """So that a training can be repeated."""
    assert drawn(words, kind, seed=3) == drawn(words, kind, seed=3)
    assert drawn(words, kind, seed=3) != drawn(words, kind, seed=4)


def test_text_is_cut_in_one_piece(words: Tokenizer) -> None:
    """What is read stands so in the corpus."""
    for lesson in drawn(words, "reading"):
        start = TEXT.index(lesson.tokens[1])

        assert lesson.tokens[1:] == TEXT[start : start + 128]


def test_a_random_string_comes_back_and_counts_only_then(words: Tokenizer) -> None:
    """Nobody can foresee it at first, nor when it comes back."""
    for lesson in drawn(words, "repeating"):
        random = [i for i, token in enumerate(lesson.tokens) if token in PLAIN]
        known = [i for i in random if lesson.weights[i]]
        first = [lesson.tokens[i] for i in random[: len(random) - len(known)]]

        assert len(known) >= 7
        assert {lesson.tokens[i] for i in known} <= set(first)
        assert lesson.weights[random[0]] == 0.0


def test_a_key_is_said_before_it_is_asked_for(words: Tokenizer) -> None:
    """Its digits count nothing where they are said, and much where they are asked for."""
    for lesson in drawn(words, "asking"):
        unknown = [i for i, weight in enumerate(lesson.weights) if weight == 0.0 and i]
        asked = [i for i, weight in enumerate(lesson.weights) if weight > 1.0]
        key = [lesson.tokens[i] for i in unknown]

        assert len(key) == 5
        assert max(unknown) < min(asked)
        assert [lesson.tokens[i] for i in asked] == key * (len(asked) // 5)


def test_some_questions_stand_at_the_end_and_some_are_chats(words: Tokenizer) -> None:
    """Far needles are as frequent as near ones, and the chat's own tokens are learned."""
    lessons = drawn(words, "asking", number=200)
    passkeys = Passkeys(lambda said: words.encode(said, add_special_tokens=False).ids, 0)
    user = words.token_to_id(USER)

    assert any(lesson.weights[-1] > 1.0 for lesson in lessons)
    assert any(lesson.weights[-1] == 1.0 for lesson in lessons)
    assert {lesson.tokens[1] == user for lesson in lessons} == {True, False}
    assert passkeys.chatted("48159")[-1] == words.token_to_id("<|end|>")
