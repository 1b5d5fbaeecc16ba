"""Where a request belongs: sessions that form by themselves, retries, and turns that never share an id."""

from dataclasses import replace

import pytest

from gateway.memory.records import Placed, Scope
from gateway.memory.session import Place, keys_for, settle

SCOPE = Scope("t", "u")


def kept(place: Place, at: float) -> dict[str, Placed]:
    """What a store knows after a turn was kept there at `at`, as remember.py keeps it."""
    if not place.fresh:
        return dict(place.known)
    return {**place.known, place.keys[-1]: Placed(place.session, place.turn, "", (), at, place.repeat)}


def test_a_first_turn_opens_a_session() -> None:
    """Nothing known: a new session, a new turn, recall may add to it."""
    one, two = (settle(SCOPE, None, (key,), {}, 0.0) for key in ("a", "b"))

    assert one.fresh
    assert one.session != two.session
    assert one.turn != two.turn


def test_a_conversation_goes_on_in_its_session() -> None:
    """A client that resends its history is recognised by it."""
    first = settle(SCOPE, None, ("a",), {}, 0.0)
    second = settle(SCOPE, None, ("a", "b"), kept(first, 0.0), 50_000.0)

    assert second.session == first.session
    assert second.fresh
    assert second.turn != first.turn


def test_the_latest_known_turn_says_which_session_it_is() -> None:
    """Two conversations may begin with the same words."""
    known = {"a": Placed("other", "1"), "b": Placed("mine", "2")}

    assert settle(SCOPE, None, ("a", "b", "c"), known, 0.0).session == "mine"


def test_a_retry_within_two_minutes_is_the_same_turn() -> None:
    """Nothing new may be injected into it, and it gets the same id."""
    first = settle(SCOPE, None, ("a",), {}, 1000.0)
    again = settle(SCOPE, None, ("a",), kept(first, 1000.0), 1120.0)

    assert (again.session, again.turn, again.repeat, again.fresh) == (first.session, first.turn, 0, False)


def test_the_same_words_later_are_a_new_turn_of_a_new_session() -> None:
    """A client that sends no history says hello again on another day, and again after that."""
    known: dict[str, Placed] = {}
    seen = []
    for at in (1000.0, 1121.0, 90_000.0):
        place = settle(SCOPE, None, ("a",), known, at)
        known = kept(place, at)
        seen.append(place)

    assert [place.repeat for place in seen] == [0, 1, 2]
    assert all(place.fresh for place in seen)
    assert len({place.turn for place in seen}) == len({place.session for place in seen}) == 3


def test_a_slow_tool_does_not_make_a_new_turn() -> None:
    """The step after it belongs to the turn, however long it took; it replays, and recalls nothing."""
    first = settle(SCOPE, None, ("a",), {}, 0.0)
    step = settle(SCOPE, None, ("a",), kept(first, 0.0), 9000.0, step=True)

    assert (step.session, step.turn, step.fresh) == (first.session, first.turn, False)


def test_a_retry_of_a_repeated_turn_is_that_turn() -> None:
    """Two minutes count from the latest time."""
    first = settle(SCOPE, None, ("a",), {}, 0.0)
    second = settle(SCOPE, None, ("a",), kept(first, 0.0), 1000.0)
    retry = settle(SCOPE, None, ("a",), kept(second, 1000.0), 1060.0)

    assert (retry.session, retry.turn, retry.fresh) == (second.session, second.turn, False)


def test_a_named_session_keeps_its_name_when_words_come_again() -> None:
    """Only the turn is new."""
    keys = keys_for("s", ("a",))
    first = settle(SCOPE, "s", keys, {}, 0.0)
    second = settle(SCOPE, "s", keys, kept(first, 0.0), 1000.0)

    assert (first.session, second.session) == ("s", "s")
    assert first.turn != second.turn


def test_a_resent_history_is_the_same_turn_at_any_time() -> None:
    """With a history before it, the same words are a regenerated answer."""
    first = settle(SCOPE, None, ("a",), {}, 0.0)
    second = settle(SCOPE, None, ("a", "b"), kept(first, 0.0), 10.0)
    later = settle(SCOPE, None, ("a", "b"), kept(second, 10.0), 1e6)

    assert (later.turn, later.fresh) == (second.turn, False)


@pytest.mark.parametrize(
    "other",
    [
        {"scope": Scope("t2", "u")},
        {"scope": Scope("t", "u2")},
        {"scope": Scope("tu", "")},
        {"session": "s2"},
        {"keys": ("b",)},
    ],
)
def test_another_scope_session_or_text_is_another_turn(other: dict[str, object]) -> None:
    """No two of them share an id."""
    given = {"scope": SCOPE, "session": "s", "keys": ("a",), "known": {}, "now": 0.0}

    assert settle(**{**given, **other}).turn != settle(**given).turn  # type: ignore[arg-type]


def test_named_sessions_keep_the_same_words_apart() -> None:
    """Without a name the hash itself is the key; with one, every name has its own."""
    plain, one, two = (keys_for(session, ("a", "b")) for session in (None, "1", "2"))

    assert plain == ("a", "b")
    assert len({*plain, *one, *two}) == 6


def test_a_name_with_delimiters_does_not_run_into_the_words() -> None:
    """Name and hash are kept apart whatever they hold."""
    assert keys_for('a","b', ("c",)) != keys_for("a", ('b","c',))


def test_a_place_survives_a_store_that_says_nothing() -> None:
    """Then it is as if all was new; the same words of a named session still give the same turn."""
    keys = keys_for("s", ("a", "b"))
    place = settle(SCOPE, "s", keys, None, 0.0)

    assert place == replace(settle(SCOPE, "s", keys, {}, 9e9), located=False)
