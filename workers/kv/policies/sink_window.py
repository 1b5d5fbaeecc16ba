"""StreamingLLM (arXiv 2309.17453): the first tokens, where attention rests, and a window of the last ones.

By blocks: the paper keeps four tokens; here the sink is a whole block or, better, the pinned head of the prompt.
Evicted text is out of reach: this is a longer stream, not a longer memory.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from workers.kv.knobs import Knobs
from workers.kv.policies.base import Policy
from workers.kv.stream import Retained, Stream, joined


@dataclass(frozen=True, slots=True)
class SinkWindow(Policy):
    """`sinks` blocks from the start and `window` blocks before the query's own."""

    sinks: int
    window: int

    KNOBS: ClassVar[Mapping[str, object]] = {"sink": 128, "window": 4096}

    @classmethod
    def built(cls, knobs: Knobs, block: int) -> Self:
        """Sinks are rounded up to whole blocks: more of a sink never hurts."""
        return cls(sinks=-(-(knobs.sink or 0) // block), window=(knobs.window or 0) // block)

    def retained(self, query: int, stream: Stream) -> Retained:
        """[0, sinks) and [query − window, query]."""
        return joined((range(min(self.sinks, query)), range(max(0, query - self.window), query + 1)))

    def most(self) -> int | None:
        """Sinks and window."""
        return self.sinks + self.window

    def apart(self) -> int:
        """The sinks."""
        return self.sinks
