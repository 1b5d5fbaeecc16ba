"""The shapes of /admin/workers. No logic."""

from typing import Any

from pydantic import Field

from gateway.routes.admin.models import Shape
from gateway.upstream.standing import State

LONGEST_URL = 2048


class WorkerProcess(Shape):
    """A process of a worker in which its KV policy is active, in how many layers."""

    role: str
    pid: int
    rank: int
    layers: int


class KvReport(Shape):
    """A worker's KV policy, as it reports it; lengths in tokens. `per_request`: policies that a request may choose."""

    policy: str
    knobs: dict[str, Any]
    block: int
    trained: int
    per_request: list[str]
    processes: list[WorkerProcess]
    vllm: str
    sessions: bool


class ServedModel(Shape):
    """A model of a worker; `window` is how many tokens it takes, 0 when nobody knows."""

    id: str
    window: int
    owned_by: str


class AliasCard(Shape):
    """A name that callers may use, the model it stands for, and the KV policy ("" for the worker's own)."""

    name: str
    model: str
    policy: str


class WorkerCard(Shape):
    """A replica of a worker; `kv` is null for a stock one. `url` has no credentials; `state` tells what keeps new
    requests from it, `in_flight` how many it has."""

    url: str
    default: bool
    reachable: bool
    state: State
    in_flight: int
    models: list[ServedModel]
    kv: KvReport | None
    aliases: list[AliasCard]


class Workers(Shape):
    """All workers, and the aliases that nobody can answer for now."""

    workers: list[WorkerCard]
    unserved: list[str]


class RunningRequest(Shape):
    """A request that a worker runs, its tokens so far, and the blocks that it holds, as rising runs [first, end). `id`
    is the worker's name for it; vLLM makes it of what the client calls the request."""

    id: str
    policy: str
    tokens: int
    live: list[tuple[int, int]]


class WorkerKv(Shape):
    """A worker's KV as it tells of it now: its policy, tokens per `block`, blocks of its `pool`, and who holds them."""

    url: str
    kv: KvReport
    block: int
    pool: int
    requests: list[RunningRequest]


class Draining(Shape):
    """Which replica, by its `url` as it is listed; `drain` false has it take requests again."""

    url: str = Field(max_length=LONGEST_URL)
    drain: bool = True
