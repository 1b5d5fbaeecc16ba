"""What the connector's two halves tell each other: the scheduler's which blocks to save and to load, the worker's what
its engine's KV depends on. Plain values, pickled."""

from dataclasses import dataclass, field

from vllm.distributed.kv_transfer.kv_connector.v1.base import KVConnectorHandshakeMetadata, KVConnectorMetadata


@dataclass(frozen=True, slots=True)
class Part:
    """Blocks of one of the engine's block tables. `places`: their numbers in the session's context, ascending; `ids`:
    where they lie in the pool; `rows`: where in the file (empty when they are yet to be saved)."""

    places: tuple[int, ...]
    ids: tuple[int, ...]
    rows: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Save:
    """A request of a session has ended."""

    key: str
    facts: dict[str, str]
    hashes: tuple[bytes, ...]
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Load:
    """A request waits for its session's blocks."""

    request: str
    key: str
    digest: str
    parts: tuple[Part, ...]


@dataclass
class Orders(KVConnectorMetadata):
    """With every step."""

    saves: list[Save] = field(default_factory=list)
    loads: list[Load] = field(default_factory=list)


@dataclass
class Facts(KVConnectorHandshakeMetadata):
    """Once, at start: see `workers.vllm_plugin.sessions.facts`."""

    facts: dict[str, str]
