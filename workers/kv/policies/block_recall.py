"""InfLLM and ReKV (arXiv 2402.04617, 2503.00540): sinks and window stay; what leaves them can be read back, by meaning.

A block that leaves goes to host memory. A query scores the absent blocks of each layer and KV head by their mean key
and gets the best ones back for as long as it needs them; nothing is lost, only out of sight. ReKV asks once a question
is put (`when` = question: from the prompt's last block on), InfLLM for every block (`when` = always). Which ones, and
how many, is `workers.kv.choosing`'s part.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

from workers.kv.knobs import Knobs
from workers.kv.policies.base import Policy
from workers.kv.stream import Retained, Stream, joined


@dataclass(frozen=True, slots=True)
class BlockRecall(Policy):
    """`budget` blocks read back beside `sinks` and `window`; tokens per block ride along to find the question."""

    sinks: int
    window: int
    budget: int
    select: Literal["topk", "mass", "coverage", "runs"]
    mass: float
    when: Literal["question", "always"]
    representative: Literal["mean", "every"]
    block: int

    KNOBS: ClassVar[Mapping[str, object]] = {
        "sink": 128,
        "window": 4096,
        "budget": 2048,
        "select": "topk",
        "mass": 0.9,
        "when": "question",
        "representative": "every",
    }
    SHAREABLE: ClassVar[bool] = False
    PER_REQUEST: ClassVar[bool] = False

    @classmethod
    def built(cls, knobs: Knobs, block: int) -> Self:
        """Sinks and budget are rounded up to whole blocks."""
        return cls(
            sinks=-(-(knobs.sink or 0) // block),
            window=(knobs.window or 0) // block,
            budget=-(-(knobs.budget or 0) // block),
            select=knobs.select or "topk",
            mass=knobs.mass or 1.0,
            when=knobs.when or "question",
            representative=knobs.representative or "every",
            block=block,
        )

    def retained(self, query: int, stream: Stream) -> Retained:
        """What stays in the pool; blocks read back come on top."""
        return joined((range(min(self.sinks, query)), range(max(0, query - self.window), query + 1)))

    def absent(self, query: int, stream: Stream) -> range:
        """The blocks that a query in block `query` may have back: none before the question, unless `when` is always."""
        if self.when == "question" and query < (stream.prompt - 1) // self.block:
            return range(0)
        return range(min(self.sinks, query), max(0, query - self.window))

    def occasion(self, query: int, stream: Stream) -> int:
        """Once for a question and its answer, or once a block."""
        return stream.prompt if self.when == "question" else query

    def most(self) -> int | None:
        """Sinks and window."""
        return self.sinks + self.window

    def apart(self) -> int:
        """The sinks."""
        return self.sinks

    def room(self) -> int:
        """The budget."""
        return self.budget
