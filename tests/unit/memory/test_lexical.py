"""Texts as terms: the same words give the same terms, and no text is refused."""

import pytest

from gateway.memory import lexical


def test_words_are_found_in_another_form() -> None:
    """Stems, case and accents do not matter; stop words do not count."""
    asked = set(lexical.query("What did the dancers dance in the café?").indices)
    told = set(lexical.document("Dancing at a CAFE").indices)

    assert len(told) == 2
    assert told <= asked


def test_rare_and_repeated_words_weigh_more_in_a_text_but_not_in_a_question() -> None:
    """Term frequency belongs to the document."""
    told = lexical.document("tea tea tea rain")
    asked = lexical.query("tea tea tea rain")

    assert len(set(told.values)) == 2
    assert set(asked.values) == {1.0}


@pytest.mark.parametrize("text", ["", " ", "the of and", "\x00", "\ud800", "?!…", "日本語", "x" * 1_000_000])
def test_any_text_is_accepted(text: str) -> None:
    """Weights are positive, indexes and values go together."""
    for sparse in (lexical.document(text), lexical.query(text)):
        assert len(sparse.indices) == len(sparse.values)
        assert all(value > 0 for value in sparse.values)
