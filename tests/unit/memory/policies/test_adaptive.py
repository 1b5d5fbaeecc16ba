"""When adaptive shows the whole history, what stays out of it even then, and that it is verbatim otherwise."""

import string
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.memory import block, compose
from gateway.memory.budget import tokens
from gateway.memory.policies.adaptive import Adaptive
from gateway.memory.policies.verbatim import Verbatim
from gateway.memory.records import Candidate, Hit, Memory, Scope, Turn
from gateway.settings import Settings
from tests.support.gateway import running_gateway

SCOPE = Scope("t", "u")
NOW = 1_800_000_000.0
STRANGE = "What is the boiling point of lead?"


def told(text: str, seq: int, *, dense: float = 0.1, words: float = 0.0) -> Candidate:
    """A candidate that all four signals found; by default it is like no question."""
    memory = Memory(f"m{seq:03}", SCOPE, "s", text, at=NOW - 9_000 + seq, seq=seq)
    return Candidate(memory, {"dense_turn": dense, "dense_near": dense, "bm25_turn": words, "bm25_near": words})


def history(count: int, text: str = "Ada keeps bees") -> list[Candidate]:
    """So many short memories, each different."""
    return [told(f"{text}, part {n}.", n) for n in range(1, count + 1)]


def entering(hits: Sequence[Hit]) -> list[str]:
    """The texts that may enter the prompt, best first."""
    return [hit.memory.text for hit in hits if not hit.dropped]


def test_a_small_history_enters_whole() -> None:
    """Even where verbatim keeps silent, because nothing is like the question."""
    few = history(5)

    assert entering(Verbatim().rank(STRANGE, few, NOW)) == []
    assert sorted(entering(Adaptive().rank(STRANGE, few, NOW))) == [c.memory.text for c in few]


def test_no_history_is_nothing() -> None:
    """No candidates, no hits."""
    assert Adaptive().rank(STRANGE, [], NOW) == []


def test_the_best_come_first() -> None:
    """In verbatim's order, with its scores: a budget that is too small cuts the least useful."""
    few = [*history(5), told("My sister keeps bees in Riga.", 9, dense=0.8, words=4.0)]
    hits = Adaptive().rank("Where does my sister keep bees?", few, NOW)
    one_line = tokens(block.render([few[-1].memory])) + 8

    assert [(h.memory, h.score) for h in hits] == [
        (h.memory, h.score) for h in Verbatim().rank("Where does my sister keep bees?", few, NOW)
    ]
    assert compose.fit(hits, (), one_line, "", frozenset()).memories == (few[-1].memory.id,)


def test_asking_the_same_again_stays_out() -> None:
    """A turn that tells nothing is no history worth its tokens."""
    few = [*history(5), told(STRANGE, 9, dense=1.0, words=9.0)]

    assert STRANGE not in entering(Adaptive().rank(STRANGE, few, NOW))
    assert len(entering(Adaptive().rank(STRANGE, few, NOW))) == 5


@pytest.mark.parametrize(
    "many",
    [
        pytest.param(history(Adaptive().width, "Bees"), id="as many as recall looks at"),
        pytest.param(history(9, "Bees and honey " * 80), id="few but long"),
    ],
)
def test_a_large_history_is_verbatims(many: list[Candidate]) -> None:
    """The same hits with the same verdicts, in memories or in tokens beyond the switch."""
    for question in (STRANGE, "Who keeps bees and honey?"):
        assert Adaptive().rank(question, many, NOW) == Verbatim().rank(question, many, NOW)


def test_every_memory_of_the_largest_small_history_is_ranked() -> None:
    """One memory less than recall looks at: none is lost on the way through the ranker."""
    most = history(Adaptive().width - 1, "Bees")
    never_full = replace(Adaptive(), whole_tokens=10**6)

    assert len(entering(never_full.rank(STRANGE, most, NOW))) == len(most)


@given(st.lists(st.text(string.printable, min_size=1, max_size=100), max_size=70))
@example(["x" * 120] * (Adaptive().width - 1))
@example(["x" * 130] * (Adaptive().width - 1))
def test_a_whole_history_is_in_by_the_second_turn(texts: list[str]) -> None:
    """Short messages, by the default budget: either verbatim decides, or two turns of a conversation take all of it."""
    found = [told(text, n) for n, text in enumerate(texts, 1)]
    hits = Adaptive().rank(STRANGE, found, NOW)
    budget = Settings.model_fields["memory_tokens"].default
    first = compose.fit(hits, (), budget, "", frozenset()).memories
    second = compose.fit(hits, (), budget, "", frozenset(first)).memories

    assert hits == Verbatim().rank(STRANGE, found, NOW) or len(first) + len(second) == len(hits)


def test_a_whole_history_reads_the_same_whatever_is_asked() -> None:
    """Byte for byte, and what is told later stands behind it: prompts of different conversations begin alike."""
    rendered = [
        block.render(hit.memory for hit in Adaptive().rank(question, history(count), NOW))
        for question, count in ((STRANGE, 8), ("Who keeps bees, and which part?", 8), (STRANGE, 9))
    ]

    assert rendered[0] == rendered[1]
    assert rendered[2].startswith(rendered[0].rpartition("\n")[0])


def test_turns_are_kept_as_by_verbatim() -> None:
    """The same memories, the same vectors: a user may go from one policy to the other without indexing anew."""
    ours, theirs = Adaptive(), Verbatim()
    turn = Turn(
        "6f0c2b1e-3c1a-5c53-8f0e-0a4e3b6d9a11", SCOPE, "s", "c", NOW, "Bees. " * 400, "Indeed, so many of them.", seq=3
    )
    memories = ours.keep(turn)

    assert memories == theirs.keep(turn)
    assert ours.near(memories[0], (), memories[1:]) == theirs.near(memories[0], (), memories[1:])
    assert (ours.keeps, ours.width, ours.radius, ours.blend) == (
        theirs.keeps,
        theirs.width,
        theirs.radius,
        theirs.blend,
    )


async def test_a_conversation_is_told_the_history_once(tmp_path: Path) -> None:
    """Through the gateway: the first turn gets all that is known, the next one only what is new since."""
    facts = ["My sister Ada keeps bees in Riga.", "The train to Oslo was late again.", "I paint the kitchen green."]
    async with running_gateway(tmp_path / "data", "", policy="adaptive") as gateway, gateway.client() as client:
        for fact in facts:
            await say(client, fact)
        await gateway.indexed()
        first = await say(client, "Name the noble gases, please.")
        said = first.json()["choices"][0]["message"]["content"]
        second = await say(client, "Name the noble gases, please.", said, "And the halogens?")

    assert (first.headers["x-mneme-count"], second.headers["x-mneme-count"]) == ("3", "0")


async def say(client: httpx.AsyncClient, *texts: str) -> httpx.Response:
    """One request of a conversation that begins with these texts, the user's first."""
    roles = ("user", "assistant")
    messages = [{"role": roles[n % 2], "content": text} for n, text in enumerate(texts)]
    answer = await client.post("/v1/chat/completions", json={"model": "mneme-reader", "messages": messages})
    return answer.raise_for_status()
