"""The turn into the journal before the client sees the end of the answer, and what is said of the answer later. Never
learns what we said ourselves."""

import asyncio
import logging
from dataclasses import dataclass, replace

from gateway.errors import MemoryUnavailable, NotFound
from gateway.memory import block
from gateway.memory.ports import Journal, SessionStore
from gateway.memory.records import Scope, Trace, Turn
from gateway.memory.redact import redact
from gateway.memory.thoughts import Feedback

log = logging.getLogger(__name__)

_SHORT = 4096
# What is longer is a document, not something said; finding secrets in all of it would hold up the answer's end.
_LONGEST = 100_000
# An answer's own id is looked for among so many of its user's latest.
_LATEST = 200


@dataclass(frozen=True, slots=True)
class Retainer:
    """The journal, whether to redact, how long (seconds) an answer may be held for it, and the traces that lead from an
    answer to its turn."""

    journal: Journal
    redacts: bool
    deadline: float
    sessions: SessionStore

    async def retain(self, turn: Turn, injected: str, began: float) -> str:
        """Journal the turn; "" when it is durable, else why it is not (yet). Never raises for a failing journal.
        "forgotten" where its user was since it `began`, see Journal.append.

        Past the deadline the append goes on in the journal's queue: the answer ends, the turn is still written.
        """
        try:
            clean = await self._clean(turn, injected)
            if not (clean.user_text or clean.reply_text or clean.media):
                return "nothing-said"
            async with asyncio.timeout(self.deadline):
                if not await self.journal.append(clean, began):
                    return "forgotten"
        except TimeoutError:
            log.error("turn %s is not durable after %g s; it stays in the journal's queue", turn.id, self.deadline)
            return "journal-deadline"
        except MemoryUnavailable as failed:
            log.error("turn %s could not be journalled: %s", turn.id, failed.message)
            return "journal-unavailable"
        return ""

    async def hear(self, scope: Scope, of: str, told: Feedback) -> Turn:
        """Journal the turn of an answer anew, with what somebody tells of it; `of` is the answer's trace or its own id.
        The turn is indexed and thought about again; the last told counts.

        NotFound where the scope has no such answer, or has another one to the same question by now. MemoryUnavailable
        when it could not be kept.
        """
        told = replace(told, text=(await self.cleaned(told.text)).strip())
        trace = await self._trace(scope, of)
        # Who deletes the turn meanwhile waits, or has done so: it must not come back.
        async with self.journal.hold(scope):
            turns = await self.journal.turns(scope, [trace.turn]) if trace else []
            for turn in turns:
                if trace and turn.trace == trace.id:
                    heard = replace(turn, feedback=told)
                    await self.journal.append(heard)
                    return heard
        raise NotFound("No answer of this user's has that id, or the question was answered anew since.")

    async def cleaned(self, text: str) -> str:
        """What may be stored of a text of an operator's: no recalled block, no secret if those are redacted."""
        said = block.strip(text)
        return await asyncio.to_thread(redact, said) if self.redacts else said

    async def _trace(self, scope: Scope, of: str) -> Trace | None:
        trace = await self.sessions.find_trace(scope.tenant, of)
        if trace is not None:
            return trace if trace.scope == scope else None
        return next((trace for trace in await self.sessions.traces(scope, limit=_LATEST) if trace.answer == of), None)

    async def _clean(self, turn: Turn, injected: str) -> Turn:
        said = _head(block.strip(turn.user_text))
        reply = _head(block.strip_echo(block.strip(turn.reply_text), injected))
        if self.redacts:
            said, safe = await self._redacted(said, reply)
            # What is recalled was redacted when it was stored: what quotes a secret from the chat is its like only now.
            reply = block.strip_echo(safe, injected) if safe != reply else reply
        watch = (await self.cleaned(turn.watch)).strip() if turn.watch else ""
        media = tuple(replace(one, reference=self._safe(one.reference)) for one in turn.media)
        return replace(turn, user_text=said.strip(), reply_text=reply.strip(), watch=watch, media=media)

    async def _redacted(self, said: str, reply: str) -> tuple[str, str]:
        if len(said) + len(reply) <= _SHORT:
            return redact(said), redact(reply)
        return await asyncio.gather(asyncio.to_thread(redact, said), asyncio.to_thread(redact, reply))

    def _safe(self, reference: str) -> str:
        """A URL's path may be told a secret too; a digest is none."""
        return redact(reference) if self.redacts and not reference.startswith("sha256:") else reference


def _head(text: str) -> str:
    """At most _LONGEST characters, cut between words so that no half of a secret stays behind unrecognised."""
    if len(text) <= _LONGEST:
        return text
    return text[:_LONGEST].rpartition(" ")[0] or text[:_LONGEST]
