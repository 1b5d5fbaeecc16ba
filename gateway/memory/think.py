"""Post-thinking: takes users whose turns are due, has their policy reflect, and has what it decided carried out. No
answer waits for it: the turns are indexed already. Knows no policy's name, and never whose model is asked."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from time import perf_counter

from gateway.errors import BudgetSpent, MemoryUnavailable, ModelAway, NoModel, Unusable
from gateway.memory.captions import captioned
from gateway.memory.plan import Pace
from gateway.memory.policies.base import Policy
from gateway.memory.ports import Journal
from gateway.memory.records import Scope, Turn
from gateway.memory.reflections import Due, Reflection, Spent
from gateway.memory.reviser import Decided, Reviser
from gateway.memory.study import UserStudy
from gateway.memory.thinking import Agenda, Asker
from gateway.tracing import UNTRACED, Span, Tracer

log = logging.getLogger(__name__)

_LEASE = 600.0  # a reflection that takes longer may be thought twice, and is carried out once
_TRIES = 5
_AGAIN = 60.0  # seconds until a model that was away is asked again, times the tries so far


@dataclass
class Thinker:
    """Runs until it is told to stop. `told` hears of every reflection that was carried out or failed, `heard` of every
    answer of a model, `took` how many seconds each look at a batch did. `seer` is a model that looks at pictures,
    if there is one."""

    agenda: Agenda
    journal: Journal
    reviser: Reviser
    asker: Asker
    policies: Mapping[str, Policy]
    pace: Pace
    told: Callable[[Reflection], None] = lambda reflection: None
    heard: Callable[[Spent], None] = lambda spent: None
    took: Callable[[float], None] = lambda seconds: None
    tracer: Tracer = UNTRACED
    every: float = 1.0
    seer: Asker | None = None

    async def run(self) -> None:
        """Think until cancelled; whatever fails is tried again later, or told of and left."""
        while True:
            if not await self._step():
                await asyncio.sleep(self.every)

    async def think(self, now: float) -> bool:
        """Think about one user, if there is one whose time has come; whether there was."""
        scope = await self.agenda.claim(now, _LEASE)
        if scope is None:
            return False
        try:
            await self.reviser.finish(scope)
            dues = await self.agenda.due(scope, self.pace.turns)
            batch = [*takewhile(lambda due: due.policy == dues[0].policy, dues)]
            if batch:
                await self._about(scope, batch, now)
        except asyncio.CancelledError:
            with suppress(MemoryUnavailable):
                await self.agenda.wake(scope, now)  # so that who starts next need not wait for the lease
            raise
        return True

    async def _step(self) -> bool:
        now = self.reviser.curator.clock()
        try:
            return await self.think(now)
        except MemoryUnavailable as failed:
            log.warning("nothing can be thought about for now: %s", failed.message)
        except Exception:  # whatever it is, others are thought about; this user again when the lease is over
            log.exception("thinking failed")
        return False

    async def _about(self, scope: Scope, batch: Sequence[Due], now: float) -> None:
        found = {turn.id: turn for turn in await self.journal.turns(scope, [due.turn for due in batch])}
        policy = self.policies.get(batch[0].policy)
        gone = [due.turn for due in batch if due.turn not in found]
        shows = any(turn.media for turn in found.values())
        if policy is None or not (policy.thinks or shows) or len(gone) == len(batch):
            await self.agenda.drop(scope, [due.turn for due in batch])
            return await self.agenda.wake(scope, now)  # there may be turns of another policy
        if gone:
            await self.agenda.drop(scope, gone)
        turns = self._fitting([found[due.turn] for due in batch if due.turn in found])
        stamps = {due.turn: due.stamp for due in batch}
        decided = Decided(policy.name, turns, tuple(stamps[turn.id] for turn in turns))
        began = perf_counter()
        with self.tracer.look("think") as span:
            span.note({"mneme.policy": policy.name, "mneme.turns": len(turns)})
            span.note({"mneme.request.id": [turn.trace for turn in turns]})
            await self._think(scope, policy, decided, now, span)
        self.took(perf_counter() - began)
        return None

    async def _think(self, scope: Scope, policy: Policy, decided: Decided, now: float, span: Span) -> None:
        study = self._study(scope, policy.name, now)
        try:
            decided = replace(decided, operations=tuple(await captioned(decided.turns, study)))  # whatever follows
            thoughts = await policy.reflect(decided.turns, study)
            decided = replace(decided, operations=(*decided.operations, *thoughts))
        except (NoModel, Unusable) as failed:
            decided = replace(decided, error=failed.message)
        except ModelAway as failed:
            tries = await self.agenda.tried(scope)
            if tries < _TRIES:
                log.warning("a model that reflection asks is away: %s", failed.message)
                return await self.agenda.wake(scope, now + _AGAIN * tries)
            decided = replace(decided, error=failed.message)
        except BudgetSpent:
            return await self.agenda.wake(scope, _tomorrow(now))
        except MemoryUnavailable:
            raise
        except Exception as failed:  # a bug in a policy costs its turns their thoughts, and nothing else
            log.exception("policy %s failed to reflect", policy.name)
            decided = replace(decided, error=type(failed).__name__)
        reflection = await self._carried_out(scope, replace(decided, spent=study.spent, seen=study.seen))
        if reflection is not None:
            span.note({"mneme.outcome": reflection.state, "mneme.calls": reflection.calls})
            self.told(reflection)
        await self.agenda.wake(scope, now)  # there may be more
        return None

    async def _carried_out(self, scope: Scope, decided: Decided) -> Reflection | None:
        try:
            return await self.reviser.carry_out(scope, decided)
        except MemoryUnavailable:
            raise
        except Exception as failed:  # what cannot be carried out now cannot be later: nobody is asked for it again
            log.exception("what policy %s decided cannot be carried out", decided.policy)
            return await self.reviser.carry_out(scope, replace(decided, operations=(), error=type(failed).__name__))

    def _fitting(self, turns: Sequence[Turn]) -> tuple[Turn, ...]:
        """As many as may be thought about at once; one at the least."""
        fitting: list[Turn] = []
        left = self.pace.chars
        for turn in turns:
            left -= len(turn.user_text) + len(turn.reply_text)
            if fitting and left < 0:
                break
            fitting.append(turn)
        return tuple(fitting)

    def _study(self, scope: Scope, policy: str, now: float) -> UserStudy:
        day = datetime.fromtimestamp(now, UTC).date().isoformat()
        pace, agenda, curator = self.pace, self.agenda, self.reviser.curator

        async def spend(spent: Spent) -> None:
            self.heard(spent)
            await agenda.spend(scope.tenant, day, spent)

        async def may_ask() -> None:
            if not (pace.calls or pace.tokens):
                return
            spent = await agenda.spent(scope.tenant, day)
            if 0 < pace.calls <= spent.calls or 0 < pace.tokens <= spent.tokens:
                raise BudgetSpent(f"Reflection has asked all that it may on {day}.")

        return UserStudy(scope, policy, now, curator.memories, curator.embedder, self.asker, spend, may_ask, self.seer)


def _tomorrow(now: float) -> float:
    today = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return (today + timedelta(days=1)).timestamp()
