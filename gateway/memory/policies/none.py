"""The null policy: keeps nothing, recalls nothing. What the other policies are compared to."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.memory.records import Candidate, Hit, Memory, Turn


@dataclass(frozen=True, slots=True)
class Nothing:
    """Remembers nothing."""

    name: str = "none"
    keeps: bool = False
    width: int = 0
    radius: int = 0
    blend: tuple[float, ...] = (1.0,)

    def keep(self, turn: Turn) -> tuple[Memory, ...]:
        """Nothing."""
        return ()

    def near(self, memory: Memory, before: Sequence[Memory], after: Sequence[Memory]) -> str:
        """The memory alone."""
        return memory.text

    def rank(self, question: str, candidates: Sequence[Candidate], now: float) -> list[Hit]:
        """Nothing."""
        return []
