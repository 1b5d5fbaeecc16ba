"""What the engine's process knows of each running request: its policy, its turns, what surprised, what stands for
vision. The scheduler writes it, the cache managers read it. Knows no worker and no tensor."""

import os
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from workers.kv.choice import Choice
from workers.kv.policies.base import Policy
from workers.kv.policies.duo import Duo
from workers.kv.policies.full import Full
from workers.kv.policies.sink_window import SinkWindow
from workers.kv.policies.surprisal import Surprisal
from workers.kv.stream import Retained, Stream, blocks, runs
from workers.vllm_plugin.step import DEFAULT, Plan, Step

_PLAIN = (Full, SinkWindow, Duo)
"""Policies that read by position alone: workers need be told nothing."""


@dataclass
class Entry:
    """One request. `policy` None: the layers' own. `begun`: where turns begin; `frames`: where a block's first vision
    token stands; both in tokens. Sums and counts are by block, of `block` tokens."""

    choice: Choice
    policy: Policy | None
    block: int
    prompt: int = 0
    read: int = 0
    live: Retained | None = None
    copies: tuple[int, ...] = ()
    leaving: tuple[tuple[int, int], ...] = ()
    begun: list[int] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    surprise: dict[int, tuple[float, int]] = field(default_factory=dict)

    def stream(self, own: Policy, live: Retained | None) -> Stream:
        """All that is known, for the policy that applies: the request's own or, without one, the layer's."""
        decay = own.decay if isinstance(own, Surprisal) else 1.0
        surprise = {at: total / number * decay ** self._age(at) for at, (total, number) in self.surprise.items()}
        return Stream(live, self.vision, surprise, self.prompt)

    @property
    def vision(self) -> Retained:
        """Blocks that hold image or video tokens."""
        return runs(at // self.block for at in self.frames)

    def _age(self, block: int) -> int:
        """How many turns began behind the block."""
        return len(self.begun) - bisect_left(self.begun, (block + 1) * self.block)


class Ledger:
    """`asking` is the request whose prefix is being looked up: vLLM's look-up does not say."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.asking: Entry | None = None
        self.choice: Choice | None = None
        self.block = self.in_flight = self.longest = 0

    def open(self, choice: Choice, block: int, in_flight: int, longest: int) -> None:
        """Start anew for an engine: tokens per block, tokens of all steps in flight, the longest context."""
        self.entries.clear()
        self.asking, self.choice = None, choice
        self.block, self.in_flight, self.longest = block, in_flight, longest

    def admit(self, request: str, choice: Choice, own: bool) -> None:
        """A request with its choice; `own` if it is the engine's."""
        self.entries[request] = Entry(choice, None if own else choice.policy(self.block), self.block)

    def read(self, request: str, tokens: Any, prompt: int) -> None:
        """Take in the tokens that are new: which begin turns, which stand for vision. The last one is looked at again:
        a session's next input replaces it if it was sampled and never computed."""
        entry = self.entries[request]
        entry.prompt = prompt
        knobs = entry.choice.knobs
        vision = frozenset(knobs.vision_tokens or ())
        if not vision and knobs.turn_token is None:
            return
        first = max(0, entry.read - 1)
        for known in (entry.begun, entry.frames):
            del known[bisect_left(known, first) :]
        for at in range(first, len(tokens)):
            if tokens[at] == knobs.turn_token:
                entry.begun.append(at)
            if tokens[at] in vision and (not entry.frames or entry.frames[-1] // self.block != at // self.block):
                entry.frames.append(at)
        entry.read = len(tokens)

    def learn(self, request: str, scores: Iterable[tuple[int, float]]) -> None:
        """(position, −log p) of tokens that were computed; a position told twice, after a preemption, counts twice."""
        entry = self.entries.get(request)
        if entry is None:
            return
        for position, score in scores:
            total, number = entry.surprise.get(position // self.block, (0.0, 0))
            entry.surprise[position // self.block] = (total + score, number + 1)

    def forget(self, request: str) -> None:
        """The request has ended."""
        self.entries.pop(request, None)

    def step(self, requests: Iterable[str]) -> Step:
        """What the workers must know to run these requests."""
        if self.choice is None:
            raise RuntimeError("The ledger was never opened.")
        own = self.choice.policy(self.block)
        leaving = [request for request, entry in self.entries.items() if entry.leaving]
        plans = {request: self._plan(self.entries[request], own) for request in dict.fromkeys((*requests, *leaving))}
        return Step(self.choice.key, os.getpid(), {at: plan for at, plan in plans.items() if plan is not DEFAULT})

    def _plan(self, entry: Entry, own: Policy) -> Plan:
        policy = entry.policy or own
        if entry.policy is None and not entry.copies and isinstance(policy, _PLAIN):
            return DEFAULT
        live = None if policy.POSITIONAL else entry.live
        stream = entry.stream(policy, live)
        scores = {at: stream.surprise[at] for at in blocks(live or ()) if at in stream.surprise}
        leaving, entry.leaving = entry.leaving, ()
        return Plan(entry.policy, replace(stream, surprise=scores), entry.copies, leaving)


def held(entries: Mapping[str, Entry]) -> dict[str, Retained]:
    """The live blocks of each request, for those who watch."""
    return {request: entry.live or () for request, entry in entries.items()}


LEDGER = Ledger()
"""One per engine process: vLLM builds managers and schedulers itself and hands them nothing of ours."""
