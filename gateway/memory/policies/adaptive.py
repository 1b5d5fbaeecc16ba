"""Adaptive: while the whole history is small, show all of it; later do as verbatim does. No model needed.

The idea (ConvoMem, arXiv 2511.10523): to choose among a few memories is to lose some, and what a question needs is not
always like it in meaning or in words. Never knows a store: that it sees everything, it tells from seeing so little.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.memory import block
from gateway.memory.budget import tokens
from gateway.memory.policies.changes import settle
from gateway.memory.policies.verbatim import Verbatim
from gateway.memory.records import Candidate, Hit


@dataclass(frozen=True, slots=True)
class Adaptive(Verbatim):
    """The whole history while it is small; what helps of it later. A scope with fewer memories than `width` comes back
    whole, because likeness in meaning finds them all."""

    name: str = "adaptive"
    # Where a history of short turns reaches `width` too; two turns of a conversation take it by the default budget.
    # Told the first 48 turns of LoCoMo's conversations, verbatim loses evidence that this keeps (docs/recall.md).
    whole_tokens: int = 2200

    def rank(self, question: str, candidates: Sequence[Candidate], now: float) -> list[Hit]:
        """In verbatim's order; of a small history everything that tells something enters, whatever is asked."""
        hits = Verbatim.rank(self, question, candidates, now)
        return settle([replace(hit, dropped="") for hit in hits]) if self._small(candidates) else hits

    def _small(self, candidates: Sequence[Candidate]) -> bool:
        """Whether this is everything, and little enough. It does not depend on the question, but for turns that are
        not indexed yet."""
        if len(candidates) >= self.width:
            return False
        return tokens(block.render(c.memory for c in candidates)) <= self.whole_tokens
