"""Token estimates: additive enough to plan with, and no picture counted by its bytes."""

import pytest

from gateway.memory import budget


@pytest.mark.parametrize(
    ("text", "expected"), [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2), ("日本", 2), ("ab日", 2), ("\ud800", 1)]
)
def test_text_costs_a_quarter_of_its_ascii_and_all_of_its_other_characters(text: str, expected: int) -> None:
    """Rounded up, so that something is never free."""
    assert budget.tokens(text) == expected


def test_a_message_costs_its_share_of_the_template() -> None:
    """Also an empty one."""
    assert budget.message_tokens(b"", 0) > 0


def test_a_picture_costs_the_same_whatever_its_size() -> None:
    """Only how many there are counts."""
    assert budget.message_tokens(b"x" * 40, 2) == budget.message_tokens(b"x" * 40, 0) + 2 * 1000


def test_json_costs_a_quarter_of_its_bytes() -> None:
    """Tools and the like."""
    assert budget.raw_tokens(400) == 100
