"""What of a session's KV goes into its file, and how much of a file a later prompt takes up: no torch, no vLLM."""

import random
from functools import partial

import pytest

from workers.kv.choice import chosen
from workers.kv.keep import differing, once_more, restorable, session_key, shared, surplus
from workers.kv.policies.base import Policy
from workers.kv.stream import NOTHING_KNOWN, Retained, Stream, blocks, runs, within

BLOCK = 32
WINDOW = chosen("sink_window", {"sink": 2 * BLOCK, "window": 3 * BLOCK}).policy(BLOCK)
FULL = chosen("full", {}).policy(BLOCK)


def at_the_end(policy: Policy, length: int, stream: Stream = NOTHING_KNOWN) -> Retained:
    """What is live when a context of `length` blocks ends on a block's boundary."""
    return within(policy.retained(length, stream), 0, length)


def longest(policy: Policy, held: Retained, limit: int, cached: int = 0) -> int:
    """One group's answer."""
    return restorable([held], [partial(policy.retained, stream=NOTHING_KNOWN)], cached, limit)


def test_a_window_is_taken_up_where_it_ended() -> None:
    """Sinks and window suffice for all of the context."""
    assert longest(WINDOW, at_the_end(WINDOW, 20), limit=20) == 20


def test_a_window_is_not_taken_up_before_its_end() -> None:
    """One block earlier another block would be read, and that one is not in the file."""
    assert longest(WINDOW, at_the_end(WINDOW, 20), limit=19) == 2


def test_full_attention_is_taken_up_anywhere() -> None:
    """All of it is there."""
    assert longest(FULL, at_the_end(FULL, 20), limit=13) == 13


def test_the_pools_own_blocks_need_not_be_in_the_file() -> None:
    """What comes before the cached prefix's end is the pool's part."""
    held = runs(range(15, 20))

    assert longest(FULL, held, limit=20, cached=15) == 20
    assert longest(FULL, held, limit=20, cached=14) == 14


def test_every_group_must_be_served() -> None:
    """Layers that keep everything and layers that stream are taken up together or not at all."""
    needs = [partial(policy.retained, stream=NOTHING_KNOWN) for policy in (FULL, WINDOW)]
    streaming = at_the_end(WINDOW, 20)

    assert restorable([at_the_end(FULL, 20), streaming], needs, 0, 20) == 20
    assert restorable([runs(range(19)), streaming], needs, 0, 20) == 2


def test_a_file_that_adds_nothing_gives_what_was_cached() -> None:
    """The pool already has more."""
    assert longest(WINDOW, at_the_end(WINDOW, 20), limit=20, cached=20) == 20


def test_what_is_taken_up_is_always_complete() -> None:
    """1,000 random files: all that the next query reads is in the file or cached, and no longer beginning would do."""
    chance = random.Random(7)
    for _ in range(1000):
        policy = chosen(
            "sink_window", {"sink": BLOCK * chance.randrange(3), "window": BLOCK * chance.randrange(1, 5)}
        ).policy(BLOCK)
        limit, cached = chance.randrange(1, 15), chance.randrange(4)
        held = {at for at in range(15) if chance.random() < 0.7}
        served = [
            length
            for length in range(cached + 1, limit + 1)
            if set(blocks(within(policy.retained(length, NOTHING_KNOWN), cached, length))) <= held
        ]

        assert longest(policy, runs(sorted(held)), limit, cached) == max(served, default=cached)


def test_a_prompts_last_window_is_asked_for_once_more() -> None:
    """A query at the prompt's end reads blocks that were given back while the answer grew."""
    held = blocks(at_the_end(WINDOW, 20))

    again = once_more(held, WINDOW.retained(18, NOTHING_KNOWN), until=18)

    assert again == [15, 16]
    assert longest(WINDOW, runs(sorted({*blocks(at_the_end(WINDOW, 20)), *again})), limit=18) == 18


def test_vision_blocks_age_apart_in_a_file_too() -> None:
    """A modality window's file serves the stream that it was saved from."""
    policy = chosen(
        "modality_window", {"sink": BLOCK, "window": 2 * BLOCK, "vision_window": 2 * BLOCK, "vision_tokens": (5,)}
    ).policy(BLOCK)
    stream = Stream(vision=(range(3, 6), range(9, 10)))
    held = at_the_end(policy, 14, stream)

    assert set(blocks(held)) == {0, 5, 9, 12, 13}
    assert restorable([held], [partial(policy.retained, stream=stream)], 0, 14) == 14


def test_contexts_share_their_beginning() -> None:
    """Blocks in common, counted from the start."""
    assert shared([b"a", b"b", b"c"], [b"a", b"b", b"x", b"y"]) == 2
    assert shared([b"a"], [b"a", b"b"]) == 1
    assert shared([], [b"a"]) == 0


def test_facts_that_differ_are_named() -> None:
    """A missing one differs."""
    assert differing({"a": "1", "b": "2"}, {"a": "1", "b": "3", "c": "4"}) == ["b", "c"]
    assert differing({"a": "1"}, {"a": "1"}) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("tenant", "s"), ("other", "s")),
        (("tenant", "s"), ("tenant", "t")),
        (("ab", "c"), ("a", "bc")),
        (("", "abc"), ("abc", "")),
        (("a", "s"), ("a\0", "s")),
        ((None, "s"), ("s", "")),
    ],
)
def test_no_two_tenants_or_sessions_share_a_key(one: tuple[str | None, str], other: tuple[str | None, str]) -> None:
    """Wherever the line between salt and session id is drawn."""
    assert session_key(*one) != session_key(*other)


def test_a_key_is_a_file_name() -> None:
    """Whatever is in the id; and the same every time."""
    key = session_key("../../etc", "pass/wd\n")

    assert len(key) == 64
    assert set(key) <= set("0123456789abcdef")
    assert key == session_key("../../etc", "pass/wd\n")
    assert session_key(None, "s") == session_key("", "s")


def test_the_oldest_files_leave_until_the_rest_fits() -> None:
    """And none when all fit."""
    files = [(3.0, 40, "new"), (1.0, 50, "oldest"), (2.0, 30, "older")]

    assert surplus(files, 120) == []
    assert surplus(files, 119) == ["oldest"]
    assert surplus(files, 69) == ["oldest", "older"]
    assert surplus(files, 0) == ["oldest", "older", "new"]
