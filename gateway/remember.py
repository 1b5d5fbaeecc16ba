"""Everything memory does before the worker is asked, within one deadline. Fails open: it never costs the answer."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from gateway.ask import Tale
from gateway.errors import MemoryUnavailable
from gateway.memory import compose
from gateway.memory.compose import Fitted
from gateway.memory.ports import SessionStore
from gateway.memory.recall import Recaller
from gateway.memory.records import Memory, Placed, Recall, Trace
from gateway.memory.session import Place, keys_for, locate, settle
from gateway.question import Question

log = logging.getLogger(__name__)

_TRACED_HITS = 50


@dataclass(frozen=True, slots=True)
class Known:
    """What memory knows about a question. Turns before `first_kept` leave the prompt; `moved` if that is a new step."""

    place: Place
    recall: Recall = field(default_factory=Recall)
    pinned: tuple[Memory, ...] = ()
    first_kept: int = 0
    moved: bool = False


@dataclass(frozen=True, slots=True)
class Rememberer:
    """`window` tells a model's context in tokens (0: unknown); `deadline` is in seconds."""

    recaller: Recaller
    sessions: SessionStore
    window: Callable[[str], int]
    deadline: float
    clock: Callable[[], float]

    async def remember(self, question: Question, tale: Tale) -> Known:
        """Where we are, and what helps; as much of it as the deadline allows."""
        keys = keys_for(question.session, question.past.chains)
        known = Known(settle(question.scope, question.session, keys, {}, self.clock()))
        try:
            async with asyncio.timeout(self.deadline):
                known = replace(
                    known, place=await locate(self.sessions, question.scope, question.session, keys, self.clock())
                )
                known = await self._compact(question, known)
                return await self._recall(question, known)
        except TimeoutError:
            tale.skip("recall-deadline")
        except MemoryUnavailable as failed:
            log.warning("recall failed: %s", failed.message)
            tale.skip("memory-unavailable")
        except Exception:  # promise 8: whatever breaks in recall, the question is still answered
            log.exception("recall broke")
            tale.skip("memory-broke")
        return known

    async def keep(self, question: Question, known: Known, fitted: Fitted, tale: Tale) -> None:
        """Remember what this turn got injected, so that it gets the same ever after."""
        place = known.place
        if not place.fresh:
            return
        placed = Placed(place.session, place.turn, fitted.text, fitted.memories, self.clock(), place.repeat)
        try:
            await self.sessions.place(question.scope, place.keys[-1], placed)
            if known.moved:
                await self.sessions.set_cut(question.scope, place.session, place.keys[known.first_kept])
        except MemoryUnavailable as failed:
            log.warning("the placement was not kept: %s", failed.message)
            tale.skip("memory-unavailable")

    async def explain(self, question: Question, known: Known, fitted: Fitted, tale: Tale) -> None:
        """Keep the trace (promise 10), so far as it goes."""
        trace = Trace(
            id=tale.id,
            scope=question.scope,
            session=known.place.session,
            turn=known.place.turn,
            at=question.at,
            question=question.said,
            mode=tale.mode,
            policy=question.policy.name,
            hits=fitted.hits[:_TRACED_HITS],
            tokens=tale.tokens,
            millis=dict(tale.millis),
            skipped=tuple(tale.skipped),
            injected=fitted.text,
        )
        try:
            await self.sessions.trace(trace)
        except MemoryUnavailable as failed:
            log.warning("the trace was not kept: %s", failed.message)

    async def _compact(self, question: Question, known: Known) -> Known:
        """Promise 9: a history that outgrows the window loses its oldest turns, many at a time."""
        past, limit = question.past, self.window(question.request.model)
        if not compose.first_kept(past.head, past.sizes, limit, 0):
            return known
        cut = await self.sessions.cut(question.scope, known.place.session)
        before = known.place.keys.index(cut) if cut in known.place.keys else 0
        first = compose.first_kept(past.head, past.sizes, limit, before)
        return replace(known, first_kept=first, moved=first != before)

    async def _recall(self, question: Question, known: Known) -> Known:
        if not (question.mode.reads and known.place.fresh):
            return known
        begins = not any(key in known.place.known for key in known.place.keys[:-1]) or known.moved
        pinned = await self.recaller.pinned(question.scope) if begins and question.policy.width else ()
        recall = await self.recaller.recall(question.policy, question.scope, question.said, question.at)
        return replace(known, recall=recall, pinned=pinned)
