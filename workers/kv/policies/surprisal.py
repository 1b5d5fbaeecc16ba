"""SirLLM (arXiv 2405.12528): beside sinks and recent blocks, keep the ones that surprised the model most.

A token's surprise is −log p(token | past), a block's is the mean over its scored tokens. Each time a turn begins, all
scores are multiplied by `decay` (the stream hands them over decayed). The paper evicts tokens and numbers the rest
anew; here whole blocks go, positions stay. What is dropped stays dropped, so KV depends on the order of events.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from workers.kv.knobs import Knobs
from workers.kv.policies.base import Policy
from workers.kv.stream import Retained, Stream, blocks, joined, runs, within


@dataclass(frozen=True, slots=True)
class Surprisal(Policy):
    """`budget` scored blocks between `sinks` and the last `window` ones."""

    sinks: int
    window: int
    budget: int
    decay: float
    turn_token: int | None

    KNOBS: ClassVar[Mapping[str, object]] = {
        "sink": 128,
        "window": 1024,
        "budget": 1024,
        "decay": 1.0,
        "turn_token": None,
    }
    POSITIONAL: ClassVar[bool] = False
    SHAREABLE: ClassVar[bool] = False

    @classmethod
    def built(cls, knobs: Knobs, block: int) -> Self:
        """Sinks are rounded up, the budget too."""
        return cls(
            sinks=-(-(knobs.sink or 0) // block),
            window=(knobs.window or 0) // block,
            budget=-(-(knobs.budget or 0) // block),
            decay=knobs.decay or 1.0,
            turn_token=knobs.turn_token,
        )

    def retained(self, query: int, stream: Stream) -> Retained:
        """Of the live blocks in the middle the most surprising; of equals, and of those without a score, the latest."""
        low, high = min(self.sinks, query), max(0, query - self.window)
        live = (range(query + 1),) if stream.live is None else stream.live
        middle = sorted(blocks(within(live, low, high)), key=lambda at: (-stream.surprise.get(at, 0.0), -at))
        kept = runs(sorted(middle[: self.budget]))
        return joined((range(low), *kept, range(max(low, high), query + 1)))

    def most(self) -> int | None:
        """Sinks, budget and window."""
        return self.sinks + self.budget + self.window

    def apart(self) -> int:
        """Sinks and budget."""
        return self.sinks + self.budget
