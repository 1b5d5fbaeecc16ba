"""The null policy: keeps nothing, recalls nothing. What the other policies are compared to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from gateway.memory.policies.base import Study
from gateway.memory.records import Candidate, Hit, Memory, Times, Turn
from gateway.memory.reflections import Operation
from gateway.memory.words import Words


@dataclass(frozen=True, slots=True)
class Nothing:
    """Remembers nothing."""

    name: str = "none"
    keeps: bool = False
    thinks: bool = False
    follows: float = 0.0
    width: int = 0
    radius: int = 0
    blend: tuple[float, ...] = (1.0,)

    @classmethod
    def over(cls, words: Words) -> Self:
        """It needs no words."""
        return cls()

    def keep(self, turn: Turn) -> tuple[Memory, ...]:
        """Nothing."""
        return ()

    async def reflect(self, turns: Sequence[Turn], study: Study) -> Sequence[Operation]:
        """Nothing."""
        return ()

    def near(self, memory: Memory, before: Sequence[Memory], after: Sequence[Memory]) -> str:
        """The memory alone."""
        return memory.text

    def times(self, question: str, now: float) -> Times:
        """None."""
        return Times()

    def rank(self, question: str, candidates: Sequence[Candidate], now: float) -> list[Hit]:
        """Nothing."""
        return []
