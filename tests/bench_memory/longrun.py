"""A conversation of a thousand turns over half a year that is never begun anew: under each policy that needs no model,
how long the prompts get, whether the evidence stands in them, and how memory grows.

The gateway's own parts, over real stores and the real embedder, by a clock that is set: each turn is understood,
recalled for, composed into a window, journalled, indexed and thought about before the next one is said.
"""

import argparse
import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson

from gateway.admit import MODES, Key
from gateway.ask import Ask, Tale
from gateway.learn import opened
from gateway.memory.askers.none import Nobody
from gateway.memory.budget import raw_tokens
from gateway.memory.curate import Curator
from gateway.memory.embedders import minilm_words
from gateway.memory.embedders.minilm import MiniLM
from gateway.memory.filters import Filter
from gateway.memory.plan import Pace, Planner
from gateway.memory.policies.base import Policy
from gateway.memory.ports import Embedder, Source
from gateway.memory.recall import Recaller
from gateway.memory.records import Scope, Vector
from gateway.memory.reviser import Reviser
from gateway.memory.stores.edge import EdgeStore
from gateway.memory.stores.sqlite import Database, SqliteAgenda, SqliteJournal, SqliteSessions
from gateway.memory.think import Thinker
from gateway.memory.words import Words
from gateway.prompt import plan, written
from gateway.question import Question, read, understand
from gateway.remember import Rememberer
from tests.bench_memory import longplot
from tests.bench_memory.longplot import Look
from tests.bench_memory.months import Said, life, question
from tests.support.gateway import ROOT
from tests.support.model import Clock
from tests.support.quick import chosen
from tests.support.workers import quiet_worker, straight

POLICIES = ("verbatim", "adaptive", "scm", "memorybank", "hema", "memos", "exprag")
WINDOW, BUDGET, PROMPT = 3500, 1200, 3500
"""The model's window and the most that memory may put in, in estimated tokens; and what no prompt may exceed."""
EVERY, ASKED = 100, 20
"""Turns from one look to the next, and questions of each."""
_REPLY = "I see, thank you for telling me."
_SYSTEM = "You are a patient companion who listens well."
_ADA = Scope("months", "ada")


@dataclass
class Kept:
    """An embedder that embeds nothing twice: all policies hear the same life."""

    embedder: Embedder
    known: dict[str, Vector] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        """See ports.Embedder."""
        return self.embedder.identity

    @property
    def dimension(self) -> int:
        """See ports.Embedder."""
        return self.embedder.dimension

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """See ports.Embedder."""
        new = [text for text in dict.fromkeys(texts) if text not in self.known]
        self.known.update(zip(new, await self.embedder.embed(new) if new else [], strict=True))
        return [self.known[text] for text in texts]

    async def forget(self) -> None:
        """See ports.Embedder."""
        self.known.clear()

    async def ping(self) -> None:
        """See ports.Embedder."""
        await self.embedder.ping()


@dataclass
class Life:
    """One user who talks and talks, under one policy. Made by `begun`."""

    policy: Policy
    curator: Curator
    thinker: Thinker
    rememberer: Rememberer
    clock: Clock
    messages: list[dict[str, str]] = field(default_factory=lambda: [{"role": "system", "content": _SYSTEM}])
    facts: list[str] = field(default_factory=list)

    async def say(self, said: Said) -> int:
        """A turn from question to reflection; the prompt's size in estimated tokens."""
        self.messages.append({"role": "user", "content": said.text})
        tale = Tale(said.text, "on")
        asked = self._understood(tale)
        known = await self.rememberer.remember(asked, tale)
        laid = plan(asked, known)
        await self.rememberer.keep(asked, known, laid.fitted, tale)
        turn = opened(asked, known, laid.fitted.memories, tale)
        await self.curator.journal.append(replace(turn, reply_text=_REPLY))
        self.messages.append({"role": "assistant", "content": _REPLY})
        self.facts += [said.text] if said.fact else []
        while await self.curator.index(100):
            pass
        while await self.thinker.think(self.clock.now):
            pass
        assert not tale.skipped, tale.skipped
        return raw_tokens(len(written(laid).body))

    async def knows(self, fact: str) -> tuple[bool, int]:
        """Whether a fact would stand in the prompt of a question about it, and how long that prompt is."""
        self.messages.append({"role": "user", "content": question(fact)})
        tale = Tale(fact, "read")
        asked = self._understood(tale)
        body = written(plan(asked, await self.rememberer.remember(asked, tale))).body
        self.messages.pop()
        return fact.encode() in body, raw_tokens(len(body))

    async def counted(self) -> tuple[int, int]:
        """Active memories, and others."""
        page = await self.curator.memories.browse(_ADA, Filter(status="active"), limit=100_000)
        return len(page.items), await self.curator.memories.count(_ADA) - len(page.items)

    def _understood(self, tale: Tale) -> Question:
        body = orjson.dumps({"model": "m", "messages": self.messages})
        ask = Ask("POST", "/chat/completions", [], {b"x-mneme-session": b"all"}, body, straight(_WORKER))
        mode = MODES[tale.mode]
        request = read(ask, mode, tale)
        assert request
        policies, key = {self.policy.name: self.policy}, Key(_ADA.tenant, _ADA.user)
        found = understand(
            *(ask, request, key, mode, tale),
            policies=policies,
            default=self.policy.name,
            budget=BUDGET,
            now=self.clock.now,
        )
        assert found
        return found


_WORKER = quiet_worker("m", window=WINDOW)


@asynccontextmanager
async def begun(folder: Path, policy: Policy, embedder: Embedder) -> AsyncIterator[Life]:
    """On 1 January 2026, with nothing remembered."""
    clock, pace = Clock(1_767_225_600.0), Pace()
    async with (
        Database.open(folder / "mneme.db", durability="process") as database,
        EdgeStore.open(
            folder / "memories", embedder_identity=embedder.identity, dimension=embedder.dimension
        ) as memories,
    ):
        journal, sessions = SqliteJournal(database, clock), SqliteSessions(database, trace_limit=10)
        agenda, policies = SqliteAgenda(database), {policy.name: policy}
        planner = Planner(agenda, policies, policy.name, pace, clock)
        curator = Curator(memories, sessions, journal, embedder, policy, clock, planner)
        thinker = Thinker(agenda, journal, Reviser(curator, agenda, str.strip), Nobody(), policies, pace)
        rememberer = Rememberer(Recaller(memories, journal, embedder, 60.0), sessions, 60.0, clock)
        yield Life(policy, curator, thinker, rememberer, clock)


async def lived(policy: Policy, embedder: Embedder, turns: int, every: int = EVERY) -> list[Look]:
    """A look every so many turns."""
    dice, looks, longest, start = random.Random(2), [], 0, 1_767_225_600.0
    with TemporaryDirectory(prefix="mneme-months-") as folder:
        async with begun(Path(folder), policy, embedder) as ada:
            for number, said in enumerate(life(turns), 1):
                ada.clock.now = start + said.at
                longest = max(longest, await ada.say(said))
                if number % every == 0:
                    found = [await ada.knows(fact) for fact in dice.sample(ada.facts, min(ASKED, len(ada.facts)))]
                    longest = max([longest, *(size for _, size in found)])
                    share = sum(stands for stands, _ in found) / len(found)
                    looks.append(Look(number, longest, share, *await ada.counted()))
                    longest = 0
    return looks


def run(options: argparse.Namespace) -> str:
    """The tables; longplot draws them."""
    names = options.policies.split(",") if options.policies else POLICIES
    found = asyncio.run(_all(names, options.turns))
    return "\n\n".join((longplot.table(found), longplot.growth(found), longplot.curve(found)))


async def _all(names: Sequence[str], turns: int) -> dict[str, list[Look]]:
    models = ROOT / "build" / "test-models"
    models.mkdir(parents=True, exist_ok=True)
    words: Words = await minilm_words.words(models)
    async with MiniLM.open(Source(models)) as minilm:
        embedder, found = Kept(minilm), dict[str, list[Look]]()
        for name in names:
            found[name] = await lived(type(chosen(name)).over(words), embedder, turns)
            longplot.keep({name: found[name]})
        return found
