"""Composing: what enters the last turn, what leaves the first, and that nothing moves in between."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.memory import compose
from gateway.memory.budget import tokens
from gateway.memory.records import Hit, Memory, Placed, Scope
from gateway.memory.thoughts import Thought

SCOPE = Scope("t", "u")


def memory(id: str, text: str = "", **more: object) -> Memory:
    """A memory."""
    return Memory(**{"id": id, "scope": SCOPE, "session": "s", "text": text or f"text of {id}", **more})  # type: ignore[arg-type]


def hits(*memories: Memory) -> list[Hit]:
    """Hits on these, best first."""
    return [Hit(m, 1.0 - i / 100, {}) for i, m in enumerate(memories)]


def dropped(fitted: compose.Fitted) -> dict[str, str]:
    """Why each hit stayed out."""
    return {hit.memory.id: hit.dropped for hit in fitted.hits}


def test_what_fits_is_taken_best_first() -> None:
    """Over budget, the worse ones stay out and say why; the count is of the text itself."""
    found = hits(*(memory(str(i), "x" * 400) for i in range(5)))
    fitted = compose.fit(found, (), 300, "", frozenset())

    assert fitted.memories == ("0", "1")
    assert dropped(fitted) == {"0": "", "1": "", "2": "over budget", "3": "over budget", "4": "over budget"}
    assert fitted.tokens == tokens(fitted.text) <= 300


def test_a_short_memory_fits_where_a_long_one_did_not() -> None:
    """The rest of the budget is not wasted."""
    fitted = compose.fit(hits(memory("long", "x" * 2000), memory("short")), (), 200, "", frozenset())

    assert fitted.memories == ("short",)


def test_pinned_memories_come_before_any_hit() -> None:
    """They are what every conversation starts with; a hit on one does not double it."""
    pin = memory("pin", "x" * 400, pinned=True)
    fitted = compose.fit(hits(memory("hit", "y" * 400), pin), (pin,), 170, "", frozenset())

    assert fitted.memories == ("pin",)
    assert dropped(fitted) == {"hit": "over budget", "pin": "already recalled in this conversation"}


def test_conversations_with_the_same_pins_begin_alike() -> None:
    """To the last byte of the last pinned line, whatever was recalled beside them: one of them, or a correction."""
    old = memory("old", "I live in Lisbon.", at=1e5, pinned=True)
    pins = [memory("name", "Call me Flint.", at=2e5, pinned=True), old]
    alone = compose.fit((), pins, 500, "", frozenset()).text
    found = [hits(memory("a", at=0.0)), hits(memory("b", at=9e5), old), corrected(*hits(memory("c", at=5e4)))]
    texts = [compose.fit(each, pins[::-1], 500, "", frozenset()).text for each in found]

    assert [line.rpartition(": ")[2] for line in alone.splitlines()[1:-1]] == ["I live in Lisbon.", "Call me Flint."]
    assert all(text.startswith(alone.removesuffix("</mneme-memory>")) and text != alone for text in texts)


@pytest.mark.parametrize("budget", [0, 1, 20])
def test_a_budget_too_small_for_the_block_takes_nothing(budget: int) -> None:
    """Not even an empty block."""
    fitted = compose.fit(hits(memory("a")), (memory("p"),), budget, "", frozenset())

    assert (fitted.text, fitted.tokens, fitted.memories) == ("", 0, ())


def test_what_an_earlier_turn_rendered_is_not_rendered_again() -> None:
    """It stands in the prompt already, by id."""
    fitted = compose.fit(hits(memory("a")), (memory("p"),), 500, "", frozenset({"a", "p"}))

    assert fitted.text == ""
    assert dropped(fitted) == {"a": "already recalled in this conversation"}


def test_what_the_conversation_says_is_not_recalled_into_it() -> None:
    """It stands in the prompt already, word for word."""
    fitted = compose.fit(hits(memory("a", "I like tea.")), (), 500, "Hi.\nI like tea. You?", frozenset())

    assert dropped(fitted) == {"a": "already in the prompt"}


def test_a_hit_that_the_policy_dropped_stays_out() -> None:
    """With the policy's own reason."""
    fitted = compose.fit([Hit(memory("a"), 0.1, {}, "weak evidence")], (), 500, "", frozenset())

    assert (fitted.text, dropped(fitted)) == ("", {"a": "weak evidence"})


OLD, NEW = memory("old", "I live in Lisbon.", at=0.0), memory("new", "I moved to Porto.", at=86400.0)


def corrected(*others: Hit) -> list[Hit]:
    """The correction, then what it corrects."""
    return [*others, Hit(NEW, 1.0, {}), Hit(OLD, 0.9, {}, superseded="new")]


def test_what_was_taken_back_is_marked() -> None:
    """With the day of what takes it back, which stands in the same block."""
    fitted = compose.fit(corrected(), (), 500, "", frozenset())

    assert fitted.memories == ("new", "old")
    assert "[Thu 01 Jan 1970] user (earlier, changed Fri 02 Jan 1970): I live in Lisbon." in fitted.text
    assert "[Fri 02 Jan 1970] user: I moved to Porto." in fitted.text


@pytest.mark.parametrize(("standing", "placed"), [("So I moved to Porto.", []), ("", ["new"])])
def test_what_takes_it_back_may_stand_in_the_prompt_already(standing: str, placed: list[str]) -> None:
    """The mark then tells no day: it would outlive the deletion of the memory that it tells of."""
    fitted = compose.fit(corrected(), (), 500, standing, frozenset(placed))

    assert fitted.memories == ("old",)
    assert "user (earlier, since changed): I live in Lisbon." in fitted.text


def test_a_mark_never_stands_alone() -> None:
    """Where the correction does not fit, what it corrects is shown as it was said."""
    long = [Hit(replace(NEW, text="I moved to Porto. " * 100), 1.0, {}), Hit(OLD, 0.9, {}, superseded="new")]

    for hits in (long, [Hit(OLD, 0.9, {}, superseded="new")]):
        fitted = compose.fit(hits, (), 100, "", frozenset())

        assert fitted.memories == ("old",)
        assert "user: I live in Lisbon." in fitted.text


def test_the_mark_is_paid_for() -> None:
    """The estimate holds the remark: no budget is exceeded by it."""
    for budget in range(200):
        fitted = compose.fit(corrected(), (), budget, "", frozenset())

        assert fitted.tokens <= budget


@pytest.mark.parametrize("beside", [{}, {"kind": "experience", "thought": Thought("exprag")}])
def test_a_caption_by_the_words_alone_stands_beside_nothing_that_has_them(beside: dict[str, Any]) -> None:
    """Neither its turn nor what was made of that; one that somebody saw stands beside either."""
    first = memory("turn", sources=("turn",), **beside)
    blind = memory("blind", kind="caption", sources=("turn",), thought=Thought("exprag"))
    seen = replace(blind, id="seen", thought=Thought("exprag", tags=(compose.SEEN,)))

    assert compose.fit(hits(first, blind, seen), (), 500, "", frozenset()).memories == ("turn", "seen")


def test_nothing_keeps_the_verdicts() -> None:
    """What did not enter the prompt after all is still explained."""
    fitted = compose.fit(hits(memory("a")), (), 500, "", frozenset())

    assert fitted.nothing() == compose.Fitted("", 0, (), fitted.hits)


def test_only_turns_that_got_text_are_replayed() -> None:
    """By their place in the conversation."""
    known = {"a": Placed("s", "1", "A"), "b": Placed("s", "2", ""), "d": Placed("s", "4", "D")}

    assert compose.replayed(["a", "b", "c", "d"], known) == {0: "A", 3: "D"}


def test_an_unknown_window_drops_nothing() -> None:
    """Limit 0."""
    assert compose.first_kept(100, [10**9] * 5, 0, 0) == 0


def test_a_history_that_fits_stays_as_it_is() -> None:
    """What was dropped before stays dropped, and no more leaves."""
    assert [compose.first_kept(100, [100] * 6, 1000, before) for before in (0, 2)] == [0, 2]


def test_the_last_turn_always_stays() -> None:
    """Though it alone outgrows the window, or the head does."""
    assert compose.first_kept(100, [10, 10, 5000], 1000, 0) == 2
    assert compose.first_kept(5000, [10, 10, 10], 1000, 0) == 2


def test_compaction_never_brings_a_turn_back() -> None:
    """The step before is where this one begins."""
    assert compose.first_kept(0, [1, 1, 1, 1, 5000, 1], 1000, 3) >= 3


def test_a_long_chat_is_compacted_seldom() -> None:
    """Large steps: the head of the prompt changes a few times in a thousand turns, and the rest stays in the window."""
    kept, moves, sizes = 0, 0, list[int]()
    for _ in range(1000):
        sizes.append(100)
        first = compose.first_kept(500, sizes, 10_000, kept)
        moves += first != kept
        kept = first

        assert 500 + sum(sizes[kept:]) <= 8000
    assert moves <= 1000 * 100 / (0.4 * 10_000) + 1


def test_room_is_what_the_window_has_left() -> None:
    """A part of it is kept for the estimate's error, and there is never less than none."""
    assert compose.room(100, [100, 100], 1000) == 600
    assert compose.room(100, [1000], 1000) == 0
