"""What is examined: a memory that can be told a conversation, asked questions, and made to forget. A seam, no logic."""

from dataclasses import dataclass
from typing import Protocol

from gateway.evals.recall.sample import Sample
from gateway.memory.records import Hit


@dataclass(frozen=True, slots=True)
class Told:
    """`memories` were kept and indexed in `seconds`."""

    memories: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Found:
    """Hits, best first, with the reasons why some must not enter a prompt; the question took `millis`."""

    hits: tuple[Hit, ...]
    millis: float


class Subject(Protocol):
    """One conversation at a time: `tell` it, `ask` about it, `forget` it before the next one."""

    @property
    def identity(self) -> dict[str, str]:
        """What makes a result comparable: policy and its numbers, embedder, where it ran."""

    async def tell(self, sample: Sample) -> Told:
        """Everything that was said, indexed on return."""

    async def ask(self, question: str, at: float) -> Found:
        """Recall, as at `at` (seconds since the epoch; 0: now)."""

    async def forget(self) -> None:
        """Drop what was told."""
