"""Long texts cut where they may be cut."""

import time

import pytest

from gateway.memory.policies.none import Nothing
from gateway.memory.policies.pieces import pieces
from gateway.memory.records import Memory, Scope, Turn


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("", 10, []),
        (" \n ", 10, []),
        ("short", 10, ["short"]),
        ("one two\n\nthree. four", 12, ["one two", "three. four"]),
        ("one two\nthree. four", 12, ["one two", "three. four"]),
        ("One two. Three four", 12, ["One two.", "Three four"]),
        ("one two three four", 12, ["one two", "three four"]),
        ("abcdefghijklmnopqrstuvwxyz", 10, ["abcdefghij", "klmnopqrst", "uvwxyz"]),
        ("Well: pi is 3.14 or so", 16, ["Well: pi is", "3.14 or so"]),
        ("今日は。明日も。昨日は", 8, ["今日は。明日も。", "昨日は"]),
    ],
)
def test_the_best_break_is_taken(text: str, limit: int, expected: list[str]) -> None:
    """Paragraph, line, sentence, word, anywhere: in that order; a number is no sentence's end."""
    assert pieces(text, limit) == expected


@pytest.mark.parametrize("text", ["word " * 400_000, "\n" * 1_000_000 + "x", "x" * 2_000_000, ". " * 1_000_000])
def test_a_huge_text_is_cut_in_good_time(text: str) -> None:
    """Two megabytes take seconds at most on a busy machine."""
    began = time.process_time()
    pieces(text, 900)

    assert time.process_time() - began < 15


def test_the_null_policy_remembers_nothing() -> None:
    """It keeps, looks for and shows nothing."""
    scope = Scope("t", "u")
    turn = Turn("id", scope, "s", "c", 0.0, "I like tea.", "Good.")
    policy = Nothing()

    assert (policy.keep(turn), policy.width, policy.rank("q", [], 0.0)) == ((), 0, [])
    assert policy.near(Memory("m", scope, "s", "alone"), [], []) == "alone"
