"""DuoAttention (arXiv 2410.10819): few KV heads retrieve and need everything; the rest streams with sinks and a window.

A layer that is not named streams whole: it keeps sinks and window, and gives the rest of its KV back. Positions are the
original ones, as in the paper. `python -m workers calibrate` finds the heads.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd
from typing import ClassVar, Self

from workers.kv.errors import PolicyRefused
from workers.kv.knobs import Knobs
from workers.kv.policies.base import Policy
from workers.kv.policies.full import Full
from workers.kv.policies.sink_window import SinkWindow
from workers.kv.stream import Retained, Stream

Heads = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Duo(Policy):
    """`retrieval` holds (layer, KV heads) pairs; the rest streams."""

    sinks: int
    window: int
    retrieval: tuple[tuple[int, Heads], ...]

    KNOBS: ClassVar[Mapping[str, object]] = {"sink": 64, "window": 256, "heads": ...}
    PER_REQUEST: ClassVar[bool] = False

    @classmethod
    def built(cls, knobs: Knobs, block: int) -> Self:
        """Sinks are rounded up to whole blocks."""
        heads = {layer: tuple(sorted(set(heads))) for layer, heads in (knobs.heads or {}).items()}
        return cls(-(-(knobs.sink or 0) // block), (knobs.window or 0) // block, tuple(sorted(heads.items())))

    def retained(self, query: int, stream: Stream) -> Retained:
        """Everything: some head may read it."""
        return (range(query + 1),)

    def most(self) -> int | None:
        """Without bound."""
        return None

    def at(self, layer: int, heads: int) -> tuple[Policy, ...]:
        """Full attention for the retrieval heads, sinks and window for the others."""
        retrieval = dict(self.retrieval).get(layer, ())
        streaming = SinkWindow(self.sinks, self.window)
        return tuple(Full() if head in retrieval else streaming for head in range(heads))

    def slices(self, layers: int, heads: int) -> tuple[tuple[Heads, ...], ...]:
        """Each of a model's layers as slices of its KV heads. The heads of a slice do the same; all slices of the model
        are equally large, as a pool's blocks are, and as large as can be. PolicyRefused for heads that it lacks."""
        for layer, named in self.retrieval:
            if not 0 <= layer < layers:
                raise PolicyRefused(f"heads names layer {layer}; the model's layers are 0 to {layers - 1}.")
            if named and not 0 <= min(named) <= max(named) < heads:
                raise PolicyRefused(f"heads names heads {named} of layer {layer}; its KV heads are 0 to {heads - 1}.")
        kinds = [_kinds(dict(self.retrieval).get(layer, ()), heads) for layer in range(layers)]
        size = gcd(*(len(kind) for layer in kinds for kind in layer))
        return tuple(
            tuple(kind[at : at + size] for kind in layer for at in range(0, len(kind), size)) for layer in kinds
        )


def _kinds(retrieval: Heads, heads: int) -> list[Heads]:
    """The heads that retrieve and those that stream, without the kind that a layer lacks."""
    streaming = tuple(head for head in range(heads) if head not in retrieval)
    return [kind for kind in (retrieval, streaming) if kind]
