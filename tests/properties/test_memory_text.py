"""What memory does to texts: blocks, pieces, budgets and secrets, over texts that nobody would think of."""

import re

from hypothesis import given
from hypothesis import strategies as st

from gateway.memory import block, compose
from gateway.memory.budget import tokens
from gateway.memory.policies.pieces import pieces
from gateway.memory.records import Hit, Memory, Scope
from gateway.memory.redact import MASK, redact
from tests.properties.bodies import TEXT

SCOPE = Scope("t", "u")
SHARDS = [
    "<",
    "</",
    ">",
    "mneme",
    "-",
    "memory",
    "mneme-memory",
    "<mneme-memory>",
    "</mneme-memory>",
    "me",
    "mory",
    "m",
]
SHARDS += ["marker", " ", "\n", "\u200b", "\uff1c", "M", " note='", '"', "/"]
FORGED = st.lists(st.sampled_from(SHARDS) | TEXT, max_size=12).map("".join)
MEMORIES = st.builds(
    Memory,
    id=st.sampled_from("abcdefgh"),
    scope=st.just(SCOPE),
    session=st.just("s"),
    text=FORGED,
    reply=FORGED,
    kind=st.sampled_from(["turn", "note"]),
    at=st.floats(0, 2e9),
    seq=st.integers(0, 3),
)


@given(st.lists(MEMORIES, min_size=1, max_size=5), TEXT)
def test_what_is_rendered_is_stripped_whole(memories: list[Memory], question: str) -> None:
    """Whatever the memories hold, the block ends where we end it, and nothing of it is left."""
    rendered = block.render(memories)

    assert len(rendered.splitlines()) == len(memories) + 2
    assert len(re.findall("mneme-memory", rendered, re.I)) == 2
    assert block.strip(f"{rendered}\n\n{question}").strip() == block.strip(question).strip()


@given(FORGED)
def test_stripping_leaves_nothing_to_strip(text: str) -> None:
    """No marker comes about by taking one out."""
    once = block.strip(text)

    assert not re.search(r"</?mneme-memory\b", once, re.I)
    assert block.strip(once) == once


@given(FORGED, FORGED)
def test_a_reply_is_never_made_longer(reply: str, injected: str) -> None:
    """Only whole sentences leave it."""
    assert len(block.strip_echo(reply, injected)) <= len(reply)


@given(st.text(max_size=200), st.integers(1, 40))
def test_pieces_are_the_text_less_white_space_between(text: str, limit: int) -> None:
    """In order, none empty, none too long, nothing but white space lost."""
    found = pieces(text, limit)
    at = 0
    for piece in found:
        start = text.index(piece, at)
        assert not text[at:start].strip()
        at = start + len(piece)

    assert not text[at:].strip()
    assert all(0 < len(piece) <= limit and piece == piece.strip() for piece in found)


@given(
    st.lists(MEMORIES, max_size=30),
    st.lists(MEMORIES, max_size=4),
    st.integers(0, 400),
    st.sets(st.sampled_from("abc")),
)
def test_a_budget_is_never_exceeded_and_nothing_is_taken_twice(
    found: list[Memory], pinned: list[Memory], budget: int, placed: set[str]
) -> None:
    """Whatever is found, pinned or placed before; every hit has its verdict."""
    fitted = compose.fit([Hit(m, 1.0, {}) for m in found], pinned, budget, "", frozenset(placed))

    assert fitted.tokens == tokens(fitted.text) <= budget
    assert len(set(fitted.memories)) == len(fitted.memories)
    assert not placed & set(fitted.memories)
    assert [hit.memory for hit in fitted.hits] == found
    assert {h.memory.id for h in fitted.hits if not h.dropped} <= set(fitted.memories)


@given(
    st.lists(MEMORIES, max_size=4),
    st.lists(MEMORIES, max_size=6),
    st.lists(MEMORIES, max_size=6),
    st.integers(0, 400),
)
def test_what_is_pinned_begins_the_block_whatever_is_recalled(
    pinned: list[Memory], one: list[Memory], other: list[Memory], budget: int
) -> None:
    """The lines of the pinned ones that fit come first, and are the same beside any hits."""
    alone = compose.fit([], pinned, budget, "", frozenset())
    for found in (one, other):
        fitted = compose.fit([Hit(m, 1.0, {}) for m in found], pinned, budget, "", frozenset())

        assert fitted.memories[: len(alone.memories)] == alone.memories
        assert fitted.text.startswith(alone.text.removesuffix("</mneme-memory>"))


@given(st.text(max_size=60), st.text(max_size=60))
def test_the_estimate_of_a_whole_is_at_most_that_of_its_parts(one: str, other: str) -> None:
    """So that a plan made line by line holds for the block."""
    assert tokens(one + other) <= tokens(one) + tokens(other) <= tokens(one + other) + 1


@given(st.lists(st.integers(0, 300), min_size=1, max_size=40), st.integers(0, 500), st.integers(0, 2000))
def test_compaction_only_ever_goes_forward(sizes: list[int], head: int, limit: int) -> None:
    """Turn by turn: never back, the last turn stays, and it moves only when the window is nearly full."""
    kept = 0
    for count in range(1, len(sizes) + 1):
        first = compose.first_kept(head, sizes[:count], limit, kept)

        assert kept <= first < count
        assert first == kept or head + sum(sizes[kept:count]) > 0.8 * limit > 0
        kept = first


PARTS = [
    "password",
    "pin",
    "is",
    ":",
    "=",
    '"',
    "'",
    "`",
    "secret",
    "token",
    "api key",
    "-u",
    "a:",
    "@",
    "://",
    "://x:",
]
PARTS += ["bearer", "eyJ", ".", "-", "AKIA" + "IOSFODNN7EXAMPLE", " ", "\n", "to", "hunter2", "4821", "sk-" + "a1" * 12]
PARTS += [MASK, "[secret", "https", "--password", "authorization: basic", "x" * 40, "removed]"]


@given(st.lists(st.sampled_from(PARTS) | TEXT, max_size=10), st.sampled_from(["", " "]))
def test_redacting_twice_is_redacting_once(parts: list[str], between: str) -> None:
    """What was masked is not masked again, whatever stands around it."""
    once = redact(between.join(parts))

    assert redact(once) == once


@given(st.text(max_size=100))
def test_without_a_mask_nothing_changed(text: str) -> None:
    """Redacting is masking and nothing else."""
    clean = redact(text)

    assert MASK in clean or clean == text
