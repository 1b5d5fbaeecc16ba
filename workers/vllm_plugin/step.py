"""What the scheduler tells the workers with every step: whose blocks follow which policy. Plain values, pickled."""

from collections.abc import Mapping
from dataclasses import dataclass

from workers.kv.policies.base import Policy
from workers.kv.stream import NOTHING_KNOWN, Stream


@dataclass(frozen=True, slots=True)
class Plan:
    """One request in one step. `policy` None: each layer's own. `copies`: pool blocks that are the request's own, for
    blocks that are read elsewhere than where they stand. `leaving`: (number, pool block) of blocks to be put on the
    shelf before this step may overwrite them."""

    policy: Policy | None = None
    stream: Stream = NOTHING_KNOWN
    copies: tuple[int, ...] = ()
    leaving: tuple[tuple[int, int], ...] = ()


DEFAULT = Plan()


@dataclass(frozen=True, slots=True)
class Step:
    """`key` is the engine's choice and `pid` its process; requests without a plan follow the layers' own policy."""

    key: str
    pid: int
    plans: Mapping[str, Plan]
