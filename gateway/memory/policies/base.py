"""What a memory policy is asked. Decisions only: a policy never reads a store, a clock or a socket."""

from collections.abc import Sequence
from typing import Protocol, Self

from gateway.memory.records import Candidate, Hit, Memory, Times, Turn
from gateway.memory.words import Words


class Policy(Protocol):
    """What to keep of a turn, what to show of what was found, and how wide to look."""

    @classmethod
    def over(cls, words: Words) -> Self:
        """The policy with its default knobs. `words` tells how near words are in meaning; it may know none."""

    @property
    def name(self) -> str:
        """As in the table."""

    @property
    def keeps(self) -> bool:
        """Whether turns are kept at all; if not, they are not even journalled."""

    @property
    def width(self) -> int:
        """Candidates asked for per signal; 0 means that recall is not wanted at all."""

    @property
    def radius(self) -> int:
        """How many turns on either side make up a memory's neighbourhood."""

    @property
    def blend(self) -> tuple[float, ...]:
        """Weights of the vectors that are blended into the neighbourhood's: the memory's own, then by distance up to
        `radius`. (Embedding the joined texts instead costs many times more, and found no more on LoCoMo.)"""

    def keep(self, turn: Turn) -> tuple[Memory, ...]:
        """The memories that a turn leaves behind. The first one's id is the turn's; all ids are derived from it."""

    def near(self, memory: Memory, before: Sequence[Memory], after: Sequence[Memory]) -> str:
        """The text that stands for a memory together with its neighbourhood."""

    def times(self, question: str, now: float) -> Times:
        """The times that the question is about, for the store to find candidates in them as well."""

    def rank(self, question: str, candidates: Sequence[Candidate], now: float) -> list[Hit]:
        """Best first. A hit with `dropped` set is evidence for the trace and never enters the prompt."""
