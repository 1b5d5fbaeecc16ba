"""Full attention: everything is kept. The null member of the family, and what the others are measured against."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from workers.kv.knobs import Knobs
from workers.kv.policies.base import Policy
from workers.kv.stream import Retained, Stream


@dataclass(frozen=True, slots=True)
class Full(Policy):
    """No knob."""

    KNOBS: ClassVar[Mapping[str, object]] = {}

    @classmethod
    def built(cls, knobs: Knobs, block: int) -> Self:
        """Nothing to choose."""
        return cls()

    def retained(self, query: int, stream: Stream) -> Retained:
        """All blocks so far."""
        return (range(query + 1),)

    def most(self) -> int | None:
        """Without bound."""
        return None
