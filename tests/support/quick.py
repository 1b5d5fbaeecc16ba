"""A whole mind over the models of the stores, which keep their ports' contracts: no file, so that a test may have
hundreds. And the policies of the table, with their default knobs. Knows no policy."""

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from importlib import import_module
from typing import Any

from gateway.memory import block
from gateway.memory.curate import Curator
from gateway.memory.plan import Pace, Planner
from gateway.memory.policies import TABLE
from gateway.memory.policies.base import Policy
from gateway.memory.recall import Recaller
from gateway.memory.redact import redact
from gateway.memory.reviser import Reviser
from gateway.memory.think import Thinker
from gateway.memory.words import Words
from tests.support.mind import Mind, Scripted
from tests.support.model import Clock, ModelMemories
from tests.support.model_agenda import ModelAgenda
from tests.support.model_turns import ModelJournal, ModelSessions
from tests.unit.stores.house import Words as HashedWords


def chosen(name: str) -> Policy:
    """The policy of that name."""
    module, _, attribute = TABLE[name].partition(":")
    kind: Any = getattr(import_module(module), attribute)
    policy: Policy = kind.over(Words.none())
    return policy


@asynccontextmanager
async def quick_mind(policy: Policy, pace: Pace | None = None) -> AsyncIterator[Mind]:
    """As mind.mind, whose clock stands at 1 May 2026."""
    clock, words, model, pace = Clock(1_777_593_600.0), HashedWords(), Scripted(), pace or Pace()
    memories, sessions, journal, agenda = ModelMemories(), ModelSessions(), ModelJournal(clock=clock), ModelAgenda()
    with ExitStack() as stack:
        for store in (memories, sessions, journal, agenda):
            stack.enter_context(store.open())
        policies = {policy.name: policy}
        planner = Planner(agenda, policies, policy.name, pace, clock)
        curator = Curator(memories, sessions, journal, words, policy, clock, planner)
        reviser = Reviser(curator, agenda, lambda text: redact(block.strip(text)).strip())
        thinker = Thinker(agenda, journal, reviser, model, policies, pace)
        yield Mind(policy, model, clock, curator, thinker, Recaller(memories, journal, words, 1.0))
