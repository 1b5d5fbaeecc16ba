"""What a KV policy is asked and what it answers. Pure: the same question gets the same answer, in every process."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Self

from workers.kv.knobs import Knobs
from workers.kv.stream import Retained, Stream


class Policy(ABC):
    """A frozen dataclass of its knobs, counted in blocks; it travels between processes by pickle."""

    __slots__ = ()

    KNOBS: ClassVar[Mapping[str, object]]
    """The knobs that it takes, each with its default (... if it must be given, None if it may be missing)."""

    POSITIONAL: ClassVar[bool] = True
    """Whether what a query reads follows from the tokens before it alone, however they were cut into steps. If not, it
    reads what was live when its step began, and beyond the trained context the window moves within the step."""

    SHAREABLE: ClassVar[bool] = True
    """Whether the prefix cache may share its blocks: their KV must be a function of their prefix, and be in the
    pool."""

    PER_REQUEST: ClassVar[bool] = True
    """Whether one engine can run it beside others, request by request."""

    @classmethod
    @abstractmethod
    def built(cls, knobs: Knobs, block: int) -> Self:
        """From knobs with every default filled in; `block` is the engine's, in tokens."""

    @abstractmethod
    def retained(self, query: int, stream: Stream) -> Retained:
        """The blocks that a query token in block `query` may read; always with `query` itself, and never later ones.
        What is not in it once will never be asked for again: it may be given back."""

    @abstractmethod
    def most(self) -> int | None:
        """At most so many blocks are retained beside the query's own; None: without bound."""

    def apart(self) -> int:
        """At most so many of them lie apart from the query's own run: what moves when a stream outgrows its
        training."""
        return self.most() or 0

    def absent(self, query: int, stream: Stream) -> range:
        """Blocks that are not retained and that a query in block `query` may have back, as far as there is room."""
        return range(0)

    def occasion(self, query: int, stream: Stream) -> int:
        """When blocks are chosen anew: a query with the same number gets the ones that were chosen before."""
        return query

    def room(self) -> int:
        """How many blocks it may have back at once."""
        return 0

    def at(self, layer: int, heads: int) -> "tuple[Policy, ...]":
        """The policy of each of a layer's `heads` KV heads."""
        return (self,) * heads
