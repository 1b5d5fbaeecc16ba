"""Tokens, stop strings, lengths and pieces of the reader's answers."""

from hypothesis import given
from hypothesis import strategies as st

from workers.reader.writing import count, pieces, write

STOPS = st.lists(st.text("ab \n.", min_size=1, max_size=3), max_size=3)


@given(st.text())
def test_pieces_joined_are_the_whole_text(text: str) -> None:
    """A stream loses nothing and adds nothing, and its pieces count as many tokens as the whole."""
    parts = list(pieces(text))

    assert "".join(piece for piece, _ in parts) == text
    assert sum(size for _, size in parts) == count(text)


@given(st.text(), st.integers(1, 20))
def test_a_limit_cuts_at_a_token(text: str, limit: int) -> None:
    """The answer begins as the whole one does, has at most `limit` tokens, and says when it was cut."""
    written = write(text, limit, (), False)

    assert text.startswith(written.text)
    assert written.tokens == count(written.text) == min(limit, count(text))
    assert (written.finish == "length") == (written.text != text)


@given(st.text("ab \n.", max_size=40), STOPS, st.booleans())
def test_a_stop_string_ends_the_answer(text: str, stop: list[str], keep: bool) -> None:
    """No stop string is complete in what is sent, unless it was to be kept at the end."""
    written = write(text, 1000, stop, keep)
    sent = written.text.removesuffix(written.stopped or "") if keep else written.text

    assert text.startswith(written.text)
    assert not any(word in sent for word in stop)
    assert (written.stopped is None) == (not any(word in text for word in stop))


def test_the_stop_string_that_is_complete_first_counts() -> None:
    """A model would stop at the one whose end comes first, not at the one that begins first."""
    assert write("one two three", 100, ("one two three", "two"), False).stopped == "two"


def test_a_stop_string_may_span_tokens_and_pieces() -> None:
    """It is looked for in the text, wherever the stream would have been cut."""
    assert write("My sister Ada keeps bees.", 100, ("er Ada ke",), False).text == "My sist"


def test_a_stop_string_beyond_the_limit_is_not_reached() -> None:
    """What is never written cannot stop anything."""
    assert write("one two three", 2, ("three",), False).finish == "length"


def test_tokens_written_include_the_stop_string() -> None:
    """The model had to write it before it could be seen."""
    assert write("one two three", 100, (" three",), False).tokens == 3


def test_a_long_word_is_several_tokens() -> None:
    """Otherwise a megabyte without a space would count as one."""
    assert count("x" * 160) == 10
