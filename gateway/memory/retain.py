"""The turn into the journal before the client sees the end of the answer. Never learns what we said ourselves."""

import asyncio
import logging
from dataclasses import dataclass, replace

from gateway.errors import MemoryUnavailable
from gateway.memory import block
from gateway.memory.ports import Journal
from gateway.memory.records import Turn
from gateway.memory.redact import redact

log = logging.getLogger(__name__)

_SHORT = 4096
# What is longer is a document, not something said; finding secrets in all of it would hold up the answer's end.
_LONGEST = 100_000


@dataclass(frozen=True, slots=True)
class Retainer:
    """The journal, whether to redact, and how long (seconds) an answer may be held for it."""

    journal: Journal
    redacts: bool
    deadline: float

    async def retain(self, turn: Turn, injected: str) -> str:
        """Journal the turn; "" when it is durable, else why it is not (yet). Never raises for a failing journal.

        Past the deadline the append goes on in the journal's queue: the answer ends, the turn is still written.
        """
        try:
            clean = await self._clean(turn, injected)
            if not (clean.user_text or clean.reply_text):
                return "nothing-said"
            async with asyncio.timeout(self.deadline):
                await self.journal.append(clean)
        except TimeoutError:
            log.error("turn %s is not durable after %g s; it stays in the journal's queue", turn.id, self.deadline)
            return "journal-deadline"
        except MemoryUnavailable as failed:
            log.error("turn %s could not be journalled: %s", turn.id, failed.message)
            return "journal-unavailable"
        return ""

    async def cleaned(self, text: str) -> str:
        """What may be stored of a text of an operator's: no recalled block, no secret if those are redacted."""
        said = block.strip(text)
        return await asyncio.to_thread(redact, said) if self.redacts else said

    async def _clean(self, turn: Turn, injected: str) -> Turn:
        said = _head(block.strip(turn.user_text))
        reply = _head(block.strip_echo(block.strip(turn.reply_text), injected))
        if self.redacts and len(said) + len(reply) > _SHORT:
            said, reply = await asyncio.gather(asyncio.to_thread(redact, said), asyncio.to_thread(redact, reply))
        elif self.redacts:
            said, reply = redact(said), redact(reply)
        return replace(turn, user_text=said.strip(), reply_text=reply.strip())


def _head(text: str) -> str:
    """At most _LONGEST characters, cut between words so that no half of a secret stays behind unrecognised."""
    if len(text) <= _LONGEST:
        return text
    return text[:_LONGEST].rpartition(" ")[0] or text[:_LONGEST]
