"""What a worker process knows while it runs a step: which row of the batch is which request, and what it may read.
Knows no scheduler; a step that came without a plan is refused, for it would run with full attention."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from workers.kv.compaction import Piece, by_block
from workers.kv.errors import PolicyRefused
from workers.kv.policies.base import Policy
from workers.kv.policies.full import Full
from workers.kv.positions import shift
from workers.kv.stream import Retained, Stream, joined
from workers.vllm_plugin.shelves import Rope
from workers.vllm_plugin.spec import PolicySpec
from workers.vllm_plugin.step import DEFAULT, Plan, Step


@dataclass(frozen=True, slots=True)
class Read:
    """For those who watch: query tokens [start, stop) of `request` read these blocks, in layers with this policy."""

    request: str
    start: int
    stop: int
    reads: Retained


@dataclass(frozen=True, slots=True)
class Back:
    """For those who watch: the same tokens, in this layer, also read these absent blocks, KV head by KV head."""

    request: str
    start: int
    stop: int
    layer: str
    blocks: tuple[tuple[int, ...], ...]


class Board:
    """`watch`, if set, is told of every piece that is read: how tests see what a policy really did."""

    def __init__(self) -> None:
        self.step: Step | None = None
        self.rows: Callable[[], Sequence[str]] = list
        self.watch: Callable[[Read | Back], None] | None = None
        self._rope: Rope | None = None

    def rope(self) -> Rope:
        """How this model turns keys by their positions."""
        if self._rope is None:
            raise PolicyRefused("This model has no rotary positions that blocks could be moved with.")
        return self._rope

    def open(self, rope: Rope | None) -> None:
        """A model is loaded."""
        self._rope = rope

    def begin(self, step: Step | None, rows: Callable[[], Sequence[str]]) -> Step:
        """A step starts; `rows` names the request of each row once vLLM has laid out its batch."""
        if step is None:
            raise PolicyRefused("The scheduler sent a step without KV plans: the plug-in is not active in its process.")
        self.step, self.rows = step, rows
        return step

    def end(self) -> None:
        """Outside of a step, as when vLLM warms up, there is no request and the layers' own policies hold."""
        self.rows = list

    def plan(self, request: str) -> Plan:
        """What the scheduler said of a request."""
        return self.step.plans.get(request, DEFAULT) if self.step else DEFAULT

    def name(self, row: int) -> str:
        """The request of a row; empty while vLLM warms up."""
        names = self.rows()
        return names[row] if row < len(names) else ""

    def pieces(self, spec: PolicySpec, starts: Sequence[int], lengths: Sequence[int]) -> list[Piece] | None:
        """The batch's query tokens as pieces; None if every row reads everything. `starts`: [rows + 1] offsets of the
        query tokens; `lengths`: [rows] tokens in context, the query's included."""
        found: list[Piece] = []
        everything = True
        for row, length in enumerate(lengths):
            start = length - (starts[row + 1] - starts[row])
            if start == length:
                continue
            name = self.name(row)
            plan = self.plan(name)
            policy = plan.policy or spec.policy
            everything = everything and isinstance(policy, Full)
            cut = [
                _placed(piece, policy, plan.stream, spec)
                for piece in _cut(policy, plan.stream, row, start, length, spec)
            ]
            if self.watch is not None:
                for piece in cut:
                    self.watch(Read(name, piece.start, piece.stop, piece.reads))
            found.extend(cut)
        return None if everything else found

    def report(self) -> dict[str, Any]:
        """Which engine process sent the last step, and under which policy."""
        step = self.step
        return {"pid": os.getpid(), "engine": step.pid if step else None, "key": step.key if step else None}


def _cut(policy: Policy, stream: Stream, row: int, start: int, stop: int, spec: PolicySpec) -> Iterable[Piece]:
    block = spec.block_size
    if isinstance(policy, Full):
        return [Piece(row, start, stop, (range((stop - 1) // block + 1),))]
    if policy.POSITIONAL:
        return by_block(row, start, stop, block, lambda query: policy.retained(query, stream))
    first, last = start // block, (stop - 1) // block
    live = (range(first),) if stream.live is None else stream.live
    if 0 < spec.trained < stop:  # what a step brings may be longer than the training: the window moves within it

        def moving(query: int) -> Retained:
            return policy.retained(query, replace(stream, live=joined((*live, range(first, query)))))

        return by_block(row, start, stop, block, moving)
    return [Piece(row, start, stop, joined((*live, range(first, last + 1))))]


def _placed(piece: Piece, policy: Policy, stream: Stream, spec: PolicySpec) -> Piece:
    """The piece with how far what lies apart has moved up, and what it may have back."""
    query = (piece.stop - 1) // spec.block_size
    up = shift(query, policy, spec.block_size, spec.trained)
    back = policy.absent(query, stream)
    if not up and not back:
        return piece
    return replace(piece, up=up, back=back, occasion=policy.occasion(query, stream))


BOARD = Board()
"""One per worker process: vLLM builds backends itself and hands them nothing of ours."""
