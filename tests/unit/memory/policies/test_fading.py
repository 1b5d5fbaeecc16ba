"""Curves of forgetting: what the papers' words say, and not what two of their formulas do."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.memory.policies.fading import DAY, Ebbinghaus, Fading, Linear, Salience, Steady, faded, recalls
from gateway.memory.records import Hit, Memory, Scope, Turn
from gateway.memory.thoughts import Use

ADA = Scope("acme", "ada")
CURVES = (Steady(), Ebbinghaus(), Linear(), Salience())
days = st.floats(0, 3650)
strengths = st.floats(1, 50)


def memory(use: Use | None = None, **more: object) -> Memory:
    """Said at time zero."""
    return Memory("m", ADA, "s", "Ada keeps bees.", at=0.0, use=use, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(("strength", "left"), [(1, 0.247), (3, 0.627), (5, 0.756)])
def test_strength_slows_forgetting(strength: float, left: float) -> None:
    """After a week, with tau of five days: e^(-t / (5 S)). MemoryBank's code gives .247, .015 and .001, for it
    multiplies where it should divide."""
    found = Ebbinghaus().left(memory(Use(strength)), 7 * DAY)

    assert found == pytest.approx(left, abs=0.001)
    assert math.exp(-7 / 5 * strength) <= found + 1e-9


@given(st.sampled_from(CURVES), days, strengths)
def test_what_is_left_is_a_share(curve: Fading, age: float, strength: float) -> None:
    """Between nothing and all of it, and all of it at first (of what counts)."""
    assert 0.0 <= curve.left(memory(Use(strength, 1, 0.0)), age * DAY, int(age)) <= 1.0
    assert curve.left(memory(), 0.0) == pytest.approx(1.0 if not isinstance(curve, Salience) else 1 / 1.5)


@given(st.sampled_from(CURVES), days, days)
def test_time_only_takes(curve: Fading, one: float, other: float) -> None:
    """Later there is not more left."""
    early, late = sorted((one, other))

    assert curve.left(memory(), late * DAY, int(late)) <= curve.left(memory(), early * DAY, int(early))


@given(days, strengths, strengths)
def test_the_stronger_fades_later(age: float, one: float, other: float) -> None:
    """dR/dS > 0, from the first moment on."""
    weak, strong = sorted((one, other))
    assume(age > 0.01 and strong - weak > 0.01)
    law = Ebbinghaus()
    left = [law.left(memory(Use(s)), age * DAY) for s in (weak, strong)]

    assert left[0] < left[1] or left[1] == 0.0


@given(st.sampled_from((Ebbinghaus(), Linear(), Salience())), st.floats(0, 360), st.integers(1, 20))
def test_being_recalled_helps(curve: Fading, age: float, count: int) -> None:
    """Recalled just now, more is left than if it had not been; HEMA's printed bonus says the opposite."""
    now = age * DAY
    used = memory(Use(1.0 + count, count, now))

    assert curve.left(used, now, int(age)) >= curve.left(memory(), now, int(age))


@given(days, st.integers(1, 30))
def test_looking_changes_nothing(age: float, looks: int) -> None:
    """However often a memory is loaded, it is as likely to be there as after the first time."""
    one = memory(Use(2.0, 1, DAY))

    assert len({Ebbinghaus().left(one, age * DAY) for _ in range(looks)}) == 1


def test_half_of_salience_is_gone_after_347_turns() -> None:
    """The paper's gamma."""
    fresh, old = (Salience(bonus=0.0).left(memory(), 0.0, later) for later in (0, 347))

    assert old / fresh == pytest.approx(0.5, abs=0.001)


def test_what_has_faded_stays_out_of_prompts() -> None:
    """But not what is pinned, nor a note, nor what was dropped for another reason."""
    hits = [
        Hit(memory(), 1.0, {}),
        Hit(memory(pinned=True), 1.0, {}),
        Hit(memory(kind="note"), 1.0, {}),
        Hit(memory(), 1.0, {}, "weak evidence"),
        Hit(memory(Use(100.0)), 1.0, {}),
    ]
    judged = faded(hits, Ebbinghaus(), 60 * DAY, 0.05)

    assert [hit.dropped for hit in judged] == ["faded", "", "", "weak evidence", ""]


def test_a_turn_recalls_a_memory_once() -> None:
    """However often it stood in the prompt."""
    turn = Turn("t", ADA, "s", "c", 0.0, "Hi", "Hello", recalled=("a", "b", "a"))

    assert [operation.id for operation in recalls([turn, turn])] == ["a", "b", "a", "b"]
