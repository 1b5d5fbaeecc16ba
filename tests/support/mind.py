"""A whole mind to try a policy on: real stores, the real loop from journal to reflection and recall, a clock that the
test sets, and a model whose answers are written by the test. Knows no policy."""

import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from gateway.errors import NoModel
from gateway.memory import block
from gateway.memory.compose import Fitted, fit
from gateway.memory.curate import Curator
from gateway.memory.filters import Filter
from gateway.memory.plan import Pace, Planner
from gateway.memory.policies.base import Policy
from gateway.memory.recall import Recaller
from gateway.memory.records import Kind, Memory, Scope, Status, Turn
from gateway.memory.redact import redact
from gateway.memory.reflections import Reflection
from gateway.memory.reviser import Reviser
from gateway.memory.stores.edge import EdgeStore
from gateway.memory.stores.sqlite import Database, SqliteAgenda, SqliteJournal, SqliteSessions
from gateway.memory.study import UserStudy
from gateway.memory.think import Thinker
from gateway.memory.thinking import Told
from gateway.memory.thoughts import Feedback, Media
from tests.support.embeddings import DIMENSION
from tests.support.model import Clock
from tests.unit.stores.house import Words

ADA = Scope("acme", "ada")
DAY = 86_400.0
Answer = Callable[[str], Any]
"""What the model says to a prompt: text as it is, anything else as JSON; an exception is raised."""


@dataclass
class Scripted:
    """A model at the Asker's seam: `rules` say what it answers where a prompt holds their words, the first that does;
    no rule, no model. `asked` keeps what it was asked, `schemas` the shapes."""

    rules: dict[str, Answer | object] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    schemas: list[Mapping[str, Any]] = field(default_factory=list)
    images: list[Sequence[str]] = field(default_factory=list)

    async def ask(self, system: str, prompt: str, schema: Mapping[str, Any], images: Sequence[str] = ()) -> Told:
        """See thinking.Asker."""
        rule = next((self.rules[words] for words in self.rules if words in prompt), None)
        if rule is None:
            raise NoModel("No rule speaks to this prompt.")
        self.asked.append(prompt)
        self.schemas.append(schema)
        self.images.append(images)
        answer = rule(prompt) if callable(rule) else rule
        if isinstance(answer, Exception):
            raise answer
        return Told(answer if isinstance(answer, str) else orjson.dumps(answer).decode(), len(prompt) // 4)

    async def ping(self) -> None:
        """See thinking.Asker."""


@dataclass
class Mind:
    """One policy over real stores. Made by `mind`; `model` may be given other rules at any time."""

    policy: Policy
    model: Scripted
    clock: Clock
    curator: Curator
    thinker: Thinker
    recaller: Recaller
    said: int = 0

    async def say(
        self,
        text: str,
        reply: str = "I see.",
        *,
        scope: Scope = ADA,
        session: str = "s",
        at: float | None = None,
        recalled: Sequence[str] = (),
        feedback: Feedback | None = None,
        media: Sequence[Media] = (),
        id: str = "",
    ) -> Turn:
        """Journal one turn; an id that was used before tells that one again. The clock goes on by a second."""
        self.said += 1
        self.clock.now += 1
        turn = Turn(
            id=id or str(uuid.UUID(int=self.said)),
            scope=scope,
            session=session,
            chain=f"{self.said:032x}",
            at=self.clock.now if at is None else at,
            user_text=text,
            reply_text=reply,
            policy=self.policy.name,
            recalled=tuple(recalled),
            feedback=feedback,
            media=tuple(media),
        )
        await self.curator.journal.append(turn)
        return turn

    async def think(self) -> list[Reflection]:
        """Index what was said, and think until nothing is due, a while later; the reflections, in order."""
        while await self.curator.index(100):
            pass
        seen: list[Reflection] = []
        self.thinker.told = seen.append
        while await self.thinker.think(self.clock.now + self.thinker.pace.idle):
            pass
        return seen

    async def made(self, *kinds: Kind, scope: Scope = ADA, status: Status | None = "active") -> list[Memory]:
        """What reflection made, of these kinds or of any, earliest first."""
        page = await self.curator.memories.browse(scope, Filter(status=status), limit=10_000)
        found = [m for m in page.items if m.thought and (not kinds or m.kind in kinds)]
        return sorted(found, key=lambda m: (m.at, m.text))

    async def told(self, question: str, *, scope: Scope = ADA, budget: int = 1200) -> Fitted:
        """What would enter a new conversation's prompt for a question."""
        recall = await self.recaller.recall(self.policy, scope, question, self.clock.now)
        return fit(recall.hits, await self.recaller.pinned(scope), budget, "", frozenset())

    def study(self, scope: Scope = ADA) -> UserStudy:
        """What the policy may look at, outside of the loop."""
        return self.thinker._study(scope, self.policy.name, self.clock.now)


@asynccontextmanager
async def mind(path: Path, policy: Policy, pace: Pace | None = None, **rules: Answer | object) -> AsyncIterator[Mind]:
    """A mind in a directory of its own, whose clock stands at 1 May 2026."""
    clock, words, model = Clock(1_777_593_600.0), Words(), Scripted(dict(rules))
    pace = pace or Pace()
    async with (
        Database.open(path / "mneme.db", durability="process") as database,
        EdgeStore.open(path / "memories", embedder_identity="words", dimension=DIMENSION) as memories,
    ):
        journal, sessions = SqliteJournal(database, clock), SqliteSessions(database, trace_limit=100)
        agenda = SqliteAgenda(database)
        policies = {policy.name: policy}
        planner = Planner(agenda, policies, policy.name, pace, clock)
        curator = Curator(memories, sessions, journal, words, policy, clock, planner)
        reviser = Reviser(curator, agenda, lambda text: redact(block.strip(text)).strip())
        thinker = Thinker(agenda, journal, reviser, model, policies, pace)
        yield Mind(policy, model, clock, curator, thinker, Recaller(memories, journal, words, 1.0))
