"""StreamingVLM (arXiv 2510.09608): text and vision age apart. A text sink, the last text blocks, the last vision
blocks.

A block that holds one image or video token is a vision block. Frames are many and short-lived, words few and worth
keeping, so the text window may reach back far beyond the oldest frame that is kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from workers.kv.knobs import Knobs
from workers.kv.policies.base import Policy
from workers.kv.stream import Retained, Stream, joined, within


@dataclass(frozen=True, slots=True)
class ModalityWindow(Policy):
    """`sinks` blocks from the start, then the last `text` and the last `vision` blocks of each kind."""

    sinks: int
    text: int
    vision: int

    KNOBS: ClassVar[Mapping[str, object]] = {"sink": 512, "window": 512, "vision_window": 4096, "vision_tokens": ...}

    @classmethod
    def built(cls, knobs: Knobs, block: int) -> Self:
        """Sinks are rounded up to whole blocks."""
        return cls(-(-(knobs.sink or 0) // block), (knobs.window or 0) // block, (knobs.vision_window or 0) // block)

    def retained(self, query: int, stream: Stream) -> Retained:
        """Sinks, the last text and vision blocks before the query's own, and that one."""
        low = min(self.sinks, query)
        seen = within(stream.vision, low, query)
        frames = _last(seen, self.vision)
        words = _last(_between(seen, low, query), self.text)
        return joined(sorted((range(low), *frames, *words, range(query, query + 1)), key=lambda part: part.start))

    def most(self) -> int | None:
        """Sinks and both windows."""
        return self.sinks + self.text + self.vision


def _last(of: Retained, number: int) -> Retained:
    found: list[range] = []
    for part in reversed(of):
        if number <= 0:
            break
        found.append(range(max(part.start, part.stop - number), part.stop))
        number -= len(found[-1])
    return tuple(reversed(found))


def _between(of: Retained, low: int, high: int) -> Retained:
    """What of [low, high) is not in the runs."""
    edges = [low, *(edge for part in of for edge in (part.start, part.stop)), high]
    return joined([range(start, stop) for start, stop in zip(edges[::2], edges[1::2], strict=True)])
