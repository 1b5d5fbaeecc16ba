"""What the benchmark's model is shown. Knows no model."""

import pytest
from tokenizers import Tokenizer

from tests.bench_kv.model.lessons import Lesson, Lessons, Part
from tests.bench_kv.model.tokenizer import END, USER, VOCABULARY

TEXT = [VOCABULARY + i for i in range(1000)]  # no token of the vocabulary, so that text is told from the rest
READING, ASKING = 0.0, 1.0


def drawn(words: Tokenizer, asking: float, seed: int = 0, number: int = 50) -> list[Lesson]:
    """Lessons of 129 tokens."""
    lessons = Lessons(TEXT, lambda said: words.encode(said, add_special_tokens=False).ids, 0, seed)
    return [lessons.drawn(129, asking) for _ in range(number)]


@pytest.mark.parametrize("asking", [READING, ASKING])
def test_a_lesson_has_its_length_and_starts_with_bos(words: Tokenizer, asking: float) -> None:
    """Whatever it is about; each token is part of something."""
    for lesson in drawn(words, asking):
        assert len(lesson.tokens) == len(lesson.parts) == 129
        assert lesson.tokens[0] == 0


@pytest.mark.parametrize("asking", [READING, ASKING, 0.5])
def test_equal_seeds_give_equal_lessons(words: Tokenizer, asking: float) -> None:
    """So that a training can be repeated."""
    assert drawn(words, asking, seed=3) == drawn(words, asking, seed=3)
    assert drawn(words, asking, seed=3) != drawn(words, asking, seed=4)


def test_text_is_cut_in_one_piece(words: Tokenizer) -> None:
    """What is read stands so in the corpus."""
    for lesson in drawn(words, READING):
        start = TEXT.index(lesson.tokens[1])

        assert lesson.tokens[1:] == TEXT[start : start + 128]
        assert set(lesson.parts[1:]) == {Part.TEXT}


def test_a_key_is_said_before_it_is_asked_for(words: Tokenizer) -> None:
    """Nobody can foresee its digits where they are said; where they are asked for they are the answer."""
    for lesson in drawn(words, ASKING):
        said = [i for i, part in enumerate(lesson.parts) if part is Part.CHANCE and i]
        asked = [i for i, part in enumerate(lesson.parts) if part is Part.ANSWER]
        key = [lesson.tokens[i] for i in said]

        assert len(key) == 5
        assert max(said) < min(asked)
        assert [lesson.tokens[i] for i in asked] == key * (len(asked) // 5)


def test_text_goes_on_around_a_key(words: Tokenizer) -> None:
    """The filler is one piece of the corpus, whatever was put into it."""
    for lesson in drawn(words, ASKING):
        filler = [token for token in lesson.tokens if token >= VOCABULARY]

        assert filler == list(range(filler[0], filler[0] + len(filler)))


def test_some_questions_stand_at_the_end_and_some_before(words: Tokenizer) -> None:
    """Far needles are as frequent as near ones, and text is foreseen after an answer too."""
    ends = {lesson.parts[-1] for lesson in drawn(words, ASKING)}

    assert ends == {Part.ANSWER, Part.TEXT}


def test_some_questions_are_chats(words: Tokenizer) -> None:
    """So that the tokens of the chat template mean something to the model."""
    user, end = words.token_to_id(USER), words.token_to_id(END)
    lessons = drawn(words, ASKING)

    assert {lesson.tokens[1] == user for lesson in lessons} == {True, False}
    assert all((end in lesson.tokens) == (lesson.tokens[1] == user) for lesson in lessons)


def test_reading_and_asking_are_mixed(words: Tokenizer) -> None:
    """In the proportion that was asked for."""
    asks = [Part.ANSWER in lesson.parts for lesson in drawn(words, 0.25, number=400)]

    assert 0.15 < sum(asks) / 400 < 0.35
