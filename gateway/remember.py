"""Everything memory does before the worker is asked, within one deadline. Fails open: it never costs the answer."""

import asyncio
import logging
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from gateway.ask import Tale
from gateway.errors import MemoryUnavailable
from gateway.memory import compose
from gateway.memory.budget import tokens
from gateway.memory.compose import Fitted
from gateway.memory.ports import SessionStore
from gateway.memory.recall import Recaller
from gateway.memory.records import Memory, Placed, Recall, Trace
from gateway.memory.redact import redact
from gateway.memory.session import Place, keys_for, locate, settle
from gateway.memory.watches import without
from gateway.question import Question

log = logging.getLogger(__name__)

_AT_ONCE = 3
_TRACED_HITS = 50
_TRACED_CHARS = 1000


@dataclass(frozen=True, slots=True)
class Known:
    """What memory knows about a question. Turns before `first_kept` leave the prompt; `moved` if that is a new step,
    and `spare` is how many tokens the turns may grow by before the next one. `budget` is how many tokens of recalled
    text the prompt has room for; `pinned` is None where nobody asked for it; `looked` that all this was found in
    time."""

    place: Place
    budget: int
    recall: Recall = field(default_factory=Recall)
    pinned: tuple[Memory, ...] | None = None
    first_kept: int = 0
    moved: bool = False
    spare: float = math.inf
    looked: bool = False

    def anchors(self, fitted: Fitted) -> bool:
        """Whether something pinned is in what was fitted."""
        return any(memory.id in fitted.memories for memory in self.pinned or ())

    def outcome(self, question: Question, fitted: Fitted) -> str:
        """What came of the recall: hit, silent, skipped; "" where there was none, because the turn is known or nobody
        wanted it."""
        if not (question.mode.reads and question.policy.width and self.place.fresh):
            return ""
        if not self.looked:
            return "skipped"
        return "silent" if all(hit.dropped for hit in fitted.hits) else "hit"


@dataclass(frozen=True, slots=True)
class Rememberer:
    """`deadline` is in seconds; `redacts` keeps secrets out of the traces."""

    recaller: Recaller
    sessions: SessionStore
    deadline: float
    clock: Callable[[], float]
    redacts: bool = True
    # Under a crowd, a few recalls that end in time are worth more than many that are cut in their middle.
    _turnstile: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    async def remember(self, question: Question, tale: Tale) -> Known:
        """Where we are, and what helps; as much of it as the deadline allows."""
        scope, session, past, now = question.scope, question.session, question.past, self.clock()
        keys, asides = keys_for(session, past.chains), keys_for(session, [chain for _, _, chain in past.asides])
        opening = keys_for(session, [past.opening])[0] if past.opening else ""
        step = past.targets[-1] < len(question.request.messages) - 1
        known = self._placed(question, settle(scope, session, keys, None, now, asides, opening, step))
        try:
            async with asyncio.timeout(self.deadline):
                place = await locate(self.sessions, scope, session, keys, now, asides, opening, step)
                known = self._placed(question, place)
                async with self._turnstile:
                    pinned, recall = await asyncio.gather(self._pinned(question, known), self._recall(question, known))
                return replace(known, pinned=pinned, recall=recall, looked=True)
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
        if not (place.located and (place.fresh or known.moved)):
            return
        if place.fresh:
            old = Placed(place.session, place.turn, at=self.clock(), repeat=place.repeat)
        else:
            old = place.known[place.keys[-1]]
        new = replace(
            old,
            text=compose.extended(old.text, fitted.text),
            memories=(*old.memories, *fitted.memories),
            pinned=old.pinned or known.pinned is not None,
            anchored=old.anchored or known.anchors(fitted),
            cut=place.keys[known.first_kept] if known.first_kept else "",
        )
        try:
            await self.sessions.place(question.scope, place.keys[-1], new, tale.began)
        except MemoryUnavailable as failed:
            log.warning("the placement was not kept: %s", failed.message)
            tale.skip("memory-unavailable")

    async def explain(self, question: Question, known: Known, fitted: Fitted, tale: Tale) -> Trace:
        """Keep the trace (promise 10), so far as it goes before the worker has answered."""
        trace = Trace(
            id=tale.id,
            scope=question.scope,
            session=known.place.session,
            turn=known.place.turn,
            at=question.at,
            question=self._told(question.said),
            mode=tale.mode,
            policy=question.policy.name,
            hits=fitted.hits[:_TRACED_HITS],
            tokens=tale.tokens,
            millis=dict(tale.millis),
            skipped=tuple(tale.skipped),
            injected=fitted.text,
        )
        await self._trace(trace, tale)
        return trace

    async def conclude(self, trace: Trace, tale: Tale) -> None:
        """Keep the trace as it stands at the end."""
        told = replace(trace, tokens=tale.tokens, millis=dict(tale.millis), skipped=tuple(tale.skipped))
        await self._trace(replace(told, answer=tale.answer, usage=tale.usage), tale)

    async def _trace(self, trace: Trace, tale: Tale) -> None:
        try:
            await self.sessions.trace(trace, tale.began)
        except MemoryUnavailable as failed:
            log.warning("the trace was not kept: %s", failed.message)

    def _told(self, said: str) -> str:
        """What a trace shows of a question: its beginning, cut between words so that no part of a secret is left."""
        if len(said) > _TRACED_CHARS:
            said = "".join(re.findall(r"^.*\s", said[:_TRACED_CHARS], re.S)).rstrip() + " …"
        return redact(said) if self.redacts else said

    def _placed(self, question: Question, place: Place) -> Known:
        """Promise 9: a history that outgrows the window loses its oldest turns, many at a time.

        The step before is read from this conversation's own placements, so that a retry decides the same and branches
        do not move each other.
        """
        past, window = question.past, question.window
        if not window:
            return Known(place, question.budget)
        limit = max(window - past.answer, 1)
        sizes = list(past.sizes)
        if question.mode.reads:
            # Not the last turn's own text: it comes after this decision, and a retry has to decide the same.
            for turn, text in compose.replayed(place.keys[:-1], place.known).items():
                sizes[turn] += tokens(text)
            for at, text in compose.replayed(place.asides, place.known).items():
                sizes[past.asides[at][0]] += tokens(text)
        cut = next((place.known[key].cut for key in reversed(place.keys) if key in place.known), "")
        before = place.keys.index(cut) if cut in place.keys else 0
        first = compose.first_kept(past.head, sizes, limit, before)
        room = compose.room(past.head, sizes[first:], limit)
        spare = compose.spare(past.head, sizes[first:], limit)
        return Known(place, min(question.budget, room), first_kept=first, moved=first != before, spare=spare)

    async def _pinned(self, question: Question, known: Known) -> tuple[Memory, ...] | None:
        """What is pinned, where the prompt does not hold it yet: once a session, and anew when compaction took it."""
        place = known.place
        if not (question.mode.reads and question.policy.width and (place.fresh or known.moved)):
            return None
        standing = place.keys[known.first_kept : -1 if place.fresh else None]
        if any(place.known[key].pinned for key in standing if key in place.known):
            return None
        return await self.recaller.pinned(question.scope, question.as_of)

    async def _recall(self, question: Question, known: Known) -> Recall:
        if not (question.mode.reads and known.place.fresh):
            return Recall()
        policy, scope, said = question.policy, question.scope, question.said
        recalling = self.recaller.recall(policy, scope, said, question.at, question.as_of)
        # Who is told keeps that they were: what a turn was told that is not kept would be told again.
        if not (question.writes and policy.width and question.as_of is None):
            return await recalling
        recall, told = await asyncio.gather(recalling, self.recaller.told(scope))
        return replace(recall, hits=(*told, *without(recall.hits, told)))
