"""The sentences of the language bench are alike in every language, and its table says what was counted."""

import pytest

from tests.bench.languages import Sentences, Tally, read, table, told

KNOWN = read()
SHAPE = [len(part) for part in (KNOWN["en"].pairs, KNOWN["en"].general, KNOWN["en"].talk)]


def test_there_are_a_dozen_languages_and_english_comes_first() -> None:
    """The yardstick opens the table."""
    assert next(iter(KNOWN)) == "en"
    assert len(KNOWN) > 12


@pytest.mark.parametrize("own", KNOWN.values(), ids=list(KNOWN))
def test_a_language_says_what_the_others_say(own: Sentences) -> None:
    """As many facts, questions and everyday sentences, none of them twice."""
    said = [*own.general, *own.talk, *(text for pair in own.pairs for text in pair)]

    assert [len(part) for part in (own.pairs, own.general, own.talk)] == SHAPE
    assert len(set(said)) == len(said)


def test_every_question_has_its_fact_in_the_sample() -> None:
    """Gold is the turn that tells the fact, wherever the deal puts it; two deals differ."""
    own = KNOWN["en"]
    for deal in (0, 1):
        sample = told(own, deal)
        texts = {turn.id: getattr(turn, "user_text", "") for turn in sample.told}

        assert [texts[question.gold[0]] for question in sample.questions] == [fact for fact, _ in own.pairs]

    orders = [[getattr(turn, "user_text", "") for turn in told(own, deal).told] for deal in (0, 1)]
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1])


def test_the_table_counts_ranks_and_silence() -> None:
    """Rank 0 is not found; the last line sums up all but the yardstick."""
    tally = Tally([1, 5, 6, 0], [True, False, False, False], [False] * 4, [0, 8], [1, 0, 0, 0])
    lines = table(KNOWN, {"en": Tally([1], [True], [False], [0], [1]), "de": tally}).splitlines()

    assert lines[3] == "| German | 25% | 50% | 25% | 0% | 50% | 4 | 25% | 25% |"
    assert lines[4] == "| all but English | 25% | 50% | 25% | 0% | 50% | 4 | 25% | 25% |"
