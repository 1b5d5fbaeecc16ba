"""What a memory was, version by version and on a day."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.memory.records import Memory, Scope
from gateway.memory.thoughts import Former, Thought
from gateway.memory.versions import Run, as_of, difference, next_version, text_at

MEMORY = Memory("m", Scope("t", "u"), "s", "Ada lives in Bern.", at=10.0)


def moved(text: str, now: float, old: Memory = MEMORY) -> Memory:
    """The next version with another text."""
    return next_version(old, Memory("m", old.scope, "s", text, at=10.0), now)


def test_a_version_keeps_what_was_said_before() -> None:
    """The text, its number, and until when it stood."""
    new = moved("Ada lives in Riga.", 20.0)

    assert (new.version, new.updated, new.former) == (2, 20.0, (Former(1, "Ada lives in Bern.", 20.0),))


def test_of_many_versions_the_latest_are_kept() -> None:
    """A text that changes for ever does not grow for ever."""
    memory = MEMORY
    for number in range(50):
        memory = moved(f"text {number}", float(number), memory)

    assert len(memory.former) == 20 and memory.former[-1].text == "text 48"


def test_on_a_day_it_is_what_it_was_then() -> None:
    """Not there before it was said; the former text until it was edited."""
    new = moved("Ada lives in Riga.", 20.0)

    assert as_of(new, 9.0) is None
    then = as_of(new, 15.0)
    assert then and (then.text, then.version) == ("Ada lives in Bern.", 1)
    assert as_of(new, 20.0) == new


def test_what_was_superseded_holds_until_then() -> None:
    """And not a moment longer."""
    over = Memory("m", Scope("t", "u"), "s", "Old.", at=10.0, status="superseded", thought=Thought("p", until=30.0))

    assert as_of(over, 29.0) == over and as_of(over, 30.0) is None


def test_every_version_that_is_known_has_its_text() -> None:
    """Also one that changed something else than the text; none that never was."""
    pinned = next_version(MEMORY, replace(MEMORY, pinned=True), 15.0)
    latest = moved("Ada lives in Rome.", 30.0, moved("Ada lives in Riga.", 20.0, pinned))

    known = ["Ada lives in Bern.", "Ada lives in Bern.", "Ada lives in Riga.", "Ada lives in Rome."]
    assert [text_at(latest, version) for version in range(6)] == [None, *known, None]


def test_what_was_let_go_is_not_made_up() -> None:
    """Of very many versions the first ones have no text any more."""
    memory = MEMORY
    for number in range(50):
        memory = moved(f"text {number}", float(number), memory)

    assert [text_at(memory, version) for version in (1, 30, 31, 50, 51)] == [
        None,
        None,
        "text 29",
        "text 48",
        "text 49",
    ]


def test_a_difference_is_told_by_words() -> None:
    """With the space before them; what stands on either side is equal."""
    assert difference("Ada lives in Bern.", "Ada lives in old Riga.") == (
        Run("equal", "Ada lives in"),
        Run("delete", " Bern"),
        Run("insert", " old Riga"),
        Run("equal", "."),
    )


def test_a_long_difference_is_told_by_sentences() -> None:
    """Word by word it would take too long."""
    same = "Ada keeps bees. " * 1000

    assert difference(f"{same}Bern it is.", f"{same}Riga it is.")[1:] == (
        Run("delete", " Bern it is."),
        Run("insert", " Riga it is."),
    )


@settings(max_examples=200, deadline=None)
@given(old=st.text(), new=st.text())
def test_a_difference_holds_both_texts(old: str, new: str) -> None:
    """Without what was inserted it is the old one, without what was deleted the new one, to the character."""
    runs = difference(old, new)

    assert "".join(run.text for run in runs if run.op != "insert") == old
    assert "".join(run.text for run in runs if run.op != "delete") == new
