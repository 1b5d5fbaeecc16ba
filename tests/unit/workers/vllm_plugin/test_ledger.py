"""What the engine's process knows of a request: turns, vision, surprise, and the plan that follows from them."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.kv.choice import Choice, chosen
from workers.kv.policies.sink_window import SinkWindow
from workers.kv.policies.surprisal import Surprisal
from workers.kv.stream import Stream
from workers.vllm_plugin.ledger import Entry, Ledger, held

BLOCK, TURN, FRAME = 4, 7, 8
SCORED = chosen("surprisal", {"sink": 4, "window": 8, "budget": 8, "decay": 0.5, "turn_token": TURN})
SEEN = chosen("modality_window", {"sink": 4, "window": 8, "vision_window": 8, "vision_tokens": (FRAME, 9)})
PLAIN = chosen("sink_window", {"sink": 4, "window": 8})
TOKENS = st.lists(st.sampled_from([1, 2, TURN, FRAME]), min_size=1, max_size=40)


def opened(choice: Choice, own: Choice | None = None) -> Ledger:
    """A ledger of an engine with one request, "r"."""
    ledger = Ledger()
    ledger.open(own or choice, BLOCK, in_flight=16, longest=256)
    ledger.admit("r", choice, own=choice == (own or choice))
    return ledger


def known(ledger: Ledger, choice: Choice) -> Stream:
    """What a policy is told of the request."""
    return ledger.entries["r"].stream(choice.policy(BLOCK), None)


def test_a_score_fades_each_time_a_turn_begins_behind_it() -> None:
    """A block's own turn, and those that begin in it, fade nothing."""
    ledger = opened(SCORED)
    ledger.learn("r", [(at, 2.0) for at in range(12)])
    ledger.read("r", [1, 1, 1, TURN, 1, 1, 1, 1, TURN, TURN, 1, 1], 12)

    assert known(ledger, SCORED).surprise == {0: 0.5, 1: 0.5, 2: 2.0}


def test_a_block_s_score_is_the_mean_of_what_was_scored() -> None:
    """Not of all its tokens: a prompt's first one is never scored."""
    ledger = opened(SCORED)
    ledger.learn("r", [(1, 1.0), (2, 2.0)])
    ledger.learn("r", [(3, 6.0), (4, 5.0)])
    ledger.read("r", [1] * 5, 5)

    assert known(ledger, SCORED).surprise == {0: 3.0, 1: 5.0}


def test_a_score_that_comes_after_the_end_is_dropped() -> None:
    """A step in flight may still report a request that was aborted."""
    ledger = opened(SCORED)
    ledger.forget("r")
    ledger.learn("r", [(1, 1.0)])

    assert ledger.entries == {}


@given(TOKENS)
@settings(deadline=None)
def test_one_vision_token_makes_a_vision_block(tokens: list[int]) -> None:
    """Of either kind, wherever it stands in the block."""
    ledger = opened(SEEN)
    ledger.read("r", tokens, len(tokens))
    vision = {at // BLOCK for at, token in enumerate(tokens) if token == FRAME}

    assert {block for part in known(ledger, SEEN).vision for block in part} == vision


@pytest.mark.parametrize("choice", [SCORED, SEEN], ids=["turns", "vision"])
@given(TOKENS, st.data())
@settings(deadline=None)
def test_reading_bit_by_bit_is_reading_at_once(choice: Choice, tokens: list[int], data: st.DataObject) -> None:
    """However a context grew."""
    slow, fast = opened(choice), opened(choice)
    for ledger in (slow, fast):
        ledger.learn("r", [(at, 1.0) for at in range(len(tokens))])
    for end in sorted(data.draw(st.sets(st.integers(1, len(tokens))))):
        slow.read("r", tokens[:end], len(tokens))
    slow.read("r", tokens, len(tokens))
    fast.read("r", tokens, len(tokens))

    assert known(slow, choice) == known(fast, choice)


@pytest.mark.parametrize("choice", [SCORED, SEEN], ids=["turns", "vision"])
@given(TOKENS, TOKENS, st.sampled_from([1, TURN, FRAME]))
@settings(deadline=None)
def test_a_session_s_next_input_replaces_what_was_sampled_last(
    choice: Choice, before: list[int], after: list[int], sampled: int
) -> None:
    """As if the sampled token had never been read: it was never computed."""
    ledger, fresh = opened(choice), opened(choice)
    for each in (ledger, fresh):
        each.learn("r", [(at, 1.0) for at in range(len(before) + len(after))])
    ledger.read("r", [*before, sampled], len(before))
    ledger.read("r", [*before, *after], len(before) + len(after))
    fresh.read("r", [*before, *after], len(before) + len(after))

    assert known(ledger, choice) == known(fresh, choice)


@given(TOKENS)
@settings(deadline=None)
def test_reading_again_counts_nothing_twice(tokens: list[int]) -> None:
    """Schedulers look at every request before every step."""
    ledger, fresh = opened(SCORED), opened(SCORED)
    for each in (ledger, fresh):
        each.learn("r", [(at, 1.0) for at in range(len(tokens))])
        each.read("r", tokens, len(tokens))
    ledger.read("r", tokens, len(tokens))

    assert known(ledger, SCORED) == known(fresh, SCORED)


def test_a_request_that_reads_by_position_needs_no_plan() -> None:
    """The layers know the engine's own policy; a step without plans is all that travels."""
    ledger = opened(PLAIN)

    assert ledger.step(["r"]).plans == {}
    assert ledger.step(["r"]).key == PLAIN.key


def test_a_request_s_own_choice_travels_with_every_step() -> None:
    """In blocks of this engine."""
    ledger = opened(PLAIN, own=SCORED)

    assert ledger.step(["r"]).plans["r"].policy == SinkWindow(sinks=1, window=2)
    assert ledger.step(["r"]).plans["r"].policy == SinkWindow(sinks=1, window=2)


def test_a_plan_follows_from_what_is_known_alone() -> None:
    """Two ledgers that were told the same plan the same, and planning changes nothing of the next plan."""
    one, other = opened(SCORED), opened(SCORED)
    for ledger in (one, other):
        ledger.read("r", [1, TURN, 1, 1, 1, 1], 6)
        ledger.learn("r", [(at, at / 2) for at in range(6)])
        ledger.entries["r"].live = (range(2),)

    assert one.step(["r"]) == one.step(["r"]) == other.step(["r"])


def test_a_plan_tells_the_scores_of_what_is_live() -> None:
    """Workers choose with them within a long step; what is gone needs none."""
    ledger = opened(SCORED)
    ledger.learn("r", [(1, 1.0), (5, 2.0), (9, 3.0)])
    ledger.entries["r"].live = (range(1), range(2, 4))

    assert ledger.step(["r"]).plans["r"].stream.surprise == {0: 1.0, 2: 3.0}


def test_what_leaves_is_told_once() -> None:
    """Also in a step in which the request itself does not run."""
    ledger = opened(chosen("block_recall", {"sink": 4, "window": 8, "budget": 4}))
    ledger.entries["r"].leaving = ((1, 11), (2, 12))

    assert ledger.step([]).plans["r"].leaving == ((1, 11), (2, 12))
    assert ledger.step([]).plans == {}


def test_a_ledger_that_was_never_opened_makes_no_plan() -> None:
    """Workers would take a step without a policy for one under full attention."""
    with pytest.raises(RuntimeError):
        Ledger().step([])


def test_a_new_engine_starts_with_nothing() -> None:
    """The process may have run another one."""
    ledger = opened(SCORED)
    ledger.open(PLAIN, BLOCK, in_flight=16, longest=256)

    assert (ledger.entries, ledger.asking, ledger.choice) == ({}, None, PLAIN)


def test_who_watches_is_told_what_is_live() -> None:
    """Nothing, for a request without blocks."""
    entries: dict[str, Any] = {"a": Entry(PLAIN, None, BLOCK, live=(range(2),)), "b": Entry(PLAIN, None, BLOCK)}

    assert held(entries) == {"a": (range(2),), "b": ()}


def test_without_decay_scores_stay() -> None:
    """For any other policy too: only surprisal fades them."""
    ledger = opened(SCORED)
    ledger.learn("r", [(0, 2.0)])
    ledger.read("r", [1, 1, 1, 1, TURN], 5)

    assert ledger.entries["r"].stream(SinkWindow(1, 2), None).surprise == {0: 2.0}
    assert ledger.entries["r"].stream(Surprisal(1, 2, 2, 1.0, TURN), None).surprise == {0: 2.0}
