"""From what one of each takes to what many take: the formulae of docs/sizing.md. Pure: measures nothing.

`Case` holds what is assumed. Qdrant's factor of 1.5 is its documentation's (Capacity Planning): room for versions,
indexes and the segments that it builds beside those it serves from.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil

_DAY = 86_400.0
_GB = 1e9


@dataclass(frozen=True)
class Case:
    """What is wished for, and on which machines. A user says `turns_a_day`, and in the busiest hour `peak` times as
    much as on average; `copies` of each shard; `active` is the share of memories that are asked for in the time that a
    page cache remembers; Redis keeps turns for `kept_days`, 0 for as long as there are memories; a machine is used up
    to `full` of its RAM, disk and cores. Sizes in GB."""

    users: int = 1_000_000
    memories: int = 1_000_000_000
    turns_a_day: float = 20.0
    peak: float = 4.0
    copies: int = 2
    active: float = 0.1
    kept_days: float = 0.0
    traces: int = 10_000
    tenants: int = 100
    qdrant_ram: float = 256.0
    qdrant_disk: float = 4_000.0
    redis_ram: float = 128.0
    full: float = 0.7
    factor: float = 1.5

    @property
    def busiest(self) -> float:
        """Turns a second."""
        return self.users * self.turns_a_day * self.peak / _DAY


Told = tuple[str, str, str]
"""What it is, how it is computed, how much it is."""


def plan(of: Mapping[str, float], case: Case) -> list[Told]:
    """`of` are the measured units by key, bytes and milliseconds of CPU."""
    rate = "turns a second, at the busiest", "users × turns a day × peak ÷ 86,400", f"{case.busiest:,.0f}"
    return [rate, *_store(of, case), *_redis(of, case), *_processes(of, case)]


def _store(of: Mapping[str, float], case: Case) -> Iterator[Told]:
    files = sum(of[key] for key in ("dense", "sparse", "words", "payload", "fields", "links"))
    disk = case.memories * files * case.copies * case.factor / _GB
    yield "Qdrant: disk per memory", "dense + sparse + words + payload + fields + links", _bytes(files)
    yield "Qdrant: disk", "memories × that × copies × factor", _gigabytes(disk)
    held = of["allocated"]
    ways = {
        "all vectors in RAM": of["dense"] * case.factor + held,
        "vectors as bytes in RAM, floats on disk": of["dense"] / 4 * case.factor + held,
        "vectors on disk, the active ones cached": of["dense"] * case.active * case.factor + held,
        "the same, as bytes": of["dense"] / 4 * case.active * case.factor + held,
    }
    formulae = ("dense", "dense ÷ 4", "dense × active", "dense ÷ 4 × active")
    for (way, each), formula in zip(ways.items(), formulae, strict=True):
        ram = case.memories * each * case.copies / _GB
        nodes = max(ceil(ram / (case.qdrant_ram * case.full)), ceil(disk / (case.qdrant_disk * case.full)), case.copies)
        total = f"{_gigabytes(ram)}, {nodes} nodes"
        yield f"Qdrant: RAM, {way}", f"memories × ({formula} × factor + allocated) × copies", total


def _redis(of: Mapping[str, float], case: Case) -> Iterator[Told]:
    kept = case.users * case.turns_a_day * case.kept_days if case.kept_days else float(case.memories)
    turns = kept * (of["journalled"] + of["placed"]) / _GB
    rest = (case.users * of["user"] + case.tenants * case.traces * of["trace"]) / _GB
    yield "Redis: turns kept", "users × turns a day × days; for ever: as many as memories", f"{kept:,.0f}"
    yield "Redis: turns", "kept × (journalled + placed)", _gigabytes(turns)
    yield "Redis: users and traces", "users × user + tenants × traces × trace", _gigabytes(rest)
    primaries = ceil((turns + rest) / (case.redis_ram * case.full))
    yield "Redis: primaries", "all of it ÷ (RAM × full)", f"{primaries}"
    most = case.full * 1000 / (of["redis_recall"] + of["redis_turn"])
    yield "Redis: turns a second, one primary", "full × 1000 ÷ (recall + turn)", f"{most:,.0f}"


def _processes(of: Mapping[str, float], case: Case) -> Iterator[Told]:
    for what, formula, cpu in (
        ("gateways", "(request + recall + keep)", of["request"] + of["recall"] + of["keep"]),
        ("writers", "index", of["index"]),
        ("Qdrant, at most", "(store recall + store turn)", of["store_recall"] + of["store_turn"]),
    ):
        cores = case.busiest * cpu / 1000 / case.full
        yield f"{what}: cores", f"turns a second × {formula} ÷ 1000 ÷ full", f"{ceil(cores)}"


def _bytes(value: float) -> str:
    return f"{value:,.0f} bytes"


def _gigabytes(value: float) -> str:
    return f"{value:,.0f} GB" if value >= 10 else f"{value:.1f} GB"
