"""Prompts only grow: what a turn was sent with is how the next turn's prompt begins, byte for byte (promise 2)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import orjson
from hypothesis import given
from hypothesis import strategies as st

from gateway.admit import MODES, Key
from gateway.ask import Ask, Tale
from gateway.memory.policies.none import Nothing
from gateway.memory.recall import Recaller
from gateway.memory.records import Candidate, Hit, Memory, Page, Placed, Scope
from gateway.prompt import Prompt, plan, written
from gateway.question import read, understand
from gateway.remember import Rememberer
from gateway.wire import chat
from tests.properties.bodies import TEXT
from tests.support.workers import quiet_worker, straight

SCOPE = Scope("t", "u")
CALL = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]


class Everything(Nothing):
    """A policy that shows whatever was found, in the order found."""

    def rank(self, question: str, candidates: Sequence[Candidate], now: float) -> list[Hit]:
        """All of it."""
        return [Hit(candidate.memory, 1.0, candidate.signals) for candidate in candidates]


@dataclass
class House:
    """A gateway's memory side over stores that are dictionaries; `found` is what the next search finds."""

    window: int = 0
    now: float = 0.0
    places: dict[str, Placed] = field(default_factory=dict)
    found: list[Memory] = field(default_factory=list)
    pins: tuple[Memory, ...] = ()

    async def placed(self, scope: Scope, chains: Sequence[str]) -> dict[str, Placed]:
        """As a session store."""
        return {chain: self.places[chain] for chain in chains if chain in self.places}

    async def place(self, scope: Scope, chain: str, placed: Placed, began: float | None = None) -> None:
        """As a session store."""
        self.places[chain] = placed

    async def search(self, scope: Scope, query: Any, limit: int) -> list[Candidate]:
        """As a memory store."""
        return [Candidate(memory, {}) for memory in self.found]

    async def browse(self, scope: Scope, *asked: Any, **page: Any) -> Page[Memory]:
        """As a memory store."""
        return Page(self.pins)

    async def pending(self, scope: Scope, limit: int) -> list[Any]:
        """As a journal."""
        return []

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """As an embedder."""
        return [[1.0] for _ in texts]

    async def ask(self, raw: bytes, session: str | None = None) -> Prompt:
        """The prompt that a request gets, and the placement kept as the story keeps it."""
        ports = cast(Any, self)
        rememberer = Rememberer(Recaller(ports, ports, ports, 5.0), ports, 60.0, lambda: self.now)
        fields = {b"x-mneme-session": session.encode()} if session else {}
        worker = quiet_worker(window=self.window)
        ask, tale = Ask("POST", "/chat/completions", [], fields, raw, straight(worker)), Tale("x", "on")
        request = read(ask, MODES["on"], tale)
        assert request
        question = understand(
            ask,
            request,
            Key("t", "u"),
            MODES["on"],
            tale,
            policies={"everything": Everything(name="everything", width=9)},
            default="everything",
            budget=300,
            now=self.now,
        )
        assert question
        known = await rememberer.remember(question, tale)
        prompt = written(plan(question, known), "salt")
        await rememberer.keep(question, known, prompt.fitted, tale)
        assert tale.skipped == []
        return prompt


def fact(number: int, *, pinned: bool = False) -> Memory:
    """A memory whose text stands nowhere else."""
    return Memory(f"m{number}", SCOPE, "old", f"Fact {number:04d} of many.", at=float(number), pinned=pinned)


def spoken(body: bytes) -> bytes:
    """A body up to the end of its last message."""
    return body[: chat.read(body).messages[-1].end]


def body(told: list[dict[str, Any]]) -> bytes:
    """What a client sends: the messages first, spelled by the standard library."""
    return json.dumps({"messages": told, "model": "m", "memory": {}}).encode()


CONTENT = TEXT | st.lists(
    st.builds(lambda t: {"type": "text", "text": t}, TEXT)
    | st.just({"type": "image_url", "image_url": {"url": "data:,"}}),
    max_size=2,
)
TURNS = st.lists(
    st.fixed_dictionaries(
        {
            "content": CONTENT,
            "found": st.lists(st.integers(0, 12), unique=True, max_size=5),
            "tools": st.integers(0, 2),
            "reply": TEXT,
            "system": st.booleans(),
        }
    ),
    min_size=1,
    max_size=6,
)


@given(turns=TURNS, pinned=st.booleans(), session=st.sampled_from([None, "s"]))
async def test_every_prompt_begins_with_the_one_before(
    turns: list[dict[str, Any]], pinned: bool, session: str | None
) -> None:
    """Over turns, tool steps and retries; no memory ever stands in a prompt twice."""
    house = House(pins=(fact(99, pinned=True),) if pinned else ())
    told: list[dict[str, Any]] = [{"role": "system", "content": "Be brief."}]
    before = b""
    for number, turn in enumerate(turns):
        said = turn["content"] if isinstance(turn["content"], list) else f"{number} {turn['content']}"
        told.append({"role": "user", "content": said})
        house.found = [fact(n) for n in turn["found"]]
        for _ in range(turn["tools"] + 1):
            sent = (await house.ask(body(told), session)).body
            assert spoken(sent).startswith(before)
            assert all(sent.count(b"Fact %04d of" % n) <= 1 for n in range(100))
            assert (await house.ask(body(told), session)).body == sent
            assert isinstance(said, list) or all(b"Fact %04d of" % n in sent for n in turn["found"])
            before = spoken(sent)
            told.append({"role": "assistant", "tool_calls": CALL})
            told.append({"role": "tool", "tool_call_id": "c", "content": "42"})
        del told[-2:]
        told.append({"role": "assistant", "content": turn["reply"]})
        if turn["system"]:
            told.append({"role": "system", "content": "It is late."})


@given(turns=TURNS)
async def test_less_what_was_injected_the_prompt_is_the_client_s(turns: list[dict[str, Any]]) -> None:
    """The plain prompt, for a worker that refuses ours, is the client's own body less the memory member."""
    house = House()
    told: list[dict[str, Any]] = []
    for turn in turns:
        told.append({"role": "user", "content": turn["content"]})
        house.found = [fact(n) for n in turn["found"]]
        raw = body(told)
        prompt = await house.ask(raw)

        assert prompt.plain == raw.replace(b', "memory": {}', b"")
        told.append({"role": "assistant", "content": turn["reply"]})


async def test_a_chat_without_end_fits_and_its_head_moves_seldom() -> None:
    """Two hundred turns in a small window: never over it, the system prompt always there, a new head a few times."""
    house = House(window=3000, pins=(fact(9999, pinned=True),))
    told: list[dict[str, Any]] = [{"role": "system", "content": "Be brief."}]
    before, moves = b"", 0
    for number in range(200):
        told.append({"role": "user", "content": f"Turn {number}: " + "word " * 30})
        house.found = [fact(3 * number + i) for i in range(3)]
        sent = (await house.ask(body(told))).body
        moves += not spoken(sent).startswith(before)
        before = spoken(sent)
        messages = orjson.loads(sent)["messages"]

        assert len(sent) / 4 <= 3000
        assert messages[0] == told[0]
        assert messages[-1]["content"].endswith(told[-1]["content"])
        assert sent.count(b"Fact 9999 of") == 1
        told.append({"role": "assistant", "content": "Well. " * 20})
    assert 0 < moves <= 30
