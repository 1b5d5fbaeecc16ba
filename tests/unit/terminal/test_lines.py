"""What a terminal is given: no character of anybody's steers it, and no line is wider than it."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.terminal.lines import columns, cut, fit, flat, pad, plain, printed, wrap

TEXT = st.text(st.characters(codec=None, min_codepoint=0, max_codepoint=0x10FFFF), max_size=60)
CORPUS = [
    "\x1b]0;owned\x07",
    "\x1b[2J\x1b[H",
    "\x9b31mred",
    "\x1bP+q544e\x1b\\",
    "\x1b]8;;http://x\x1b\\here\x1b]8;;\x1b\\",
    "\x90q\x9c",
    "a\rb",
    "a\bb",
    "bell\x07",
    "nul\x00",
    "\u202egnp.exe\u202c",
    "\u2066x\u2069",
    "\ufeffx",
    "zero\u200bwidth",
    "\u2028line",
    "\ud800",
    "\U000e0041tag",
]


@pytest.mark.parametrize("text", CORPUS, ids=ascii)
def test_what_steers_a_terminal_is_named(text: str) -> None:
    """Escape sequences of every kind, and what turns text around or cannot be seen."""
    shown = plain(text)

    assert shown.isprintable() and "⟨U+" in shown
    assert not [char for char in shown if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")]


@given(TEXT, st.integers(1, 80))
def test_nothing_written_steers_or_overflows(text: str, room: int) -> None:
    """However it is put on a line."""
    made = [
        "".join(run for run, _ in fit([(text, ""), (text, "bold")], room)),
        pad(text, room),
        *wrap(text, max(room, 2)),
    ]
    for line in made:
        assert not [char for char in line if unicodedata.category(char)[0] == "C" or char in "\u2028\u2029"]
        assert columns(line) <= max(room, 2)
    assert columns(pad(text, room)) == room
    assert "\x1b" not in printed([[(text, "")]]) and "\x1b" not in flat(text)


@given(TEXT, st.integers(2, 40))
def test_wrapping_loses_no_letter(text: str, room: int) -> None:
    """Only spaces between words go."""
    kept = "".join(wrap(text, room)).replace(" ", "")

    assert kept == "".join(plain(part) for part in text.split("\n")).replace(" ", "")


def test_what_is_cut_says_so() -> None:
    """By columns, of which a wide character takes two and an accent none."""
    assert cut("abcdef", 4) == "abc…"
    assert cut("abcd", 4) == "abcd"
    assert cut("日本語", 4) == "日…"
    assert columns("日本e\u0301") == 5
    assert cut("abc", 0) == ""


def test_words_stay_whole_where_they_fit() -> None:
    """And what is longer than a line is broken."""
    assert wrap("the quick brown fox", 10) == ["the quick", "brown fox"]
    assert wrap("a\n\nb", 10) == ["a", "", "b"]
    assert wrap("abcdefghij", 4) == ["abcd", "efgh", "ij"]
