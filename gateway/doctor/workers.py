"""The workers and the names that stand for them, asked what they are. Sends no prompt."""

import asyncio

from gateway.doctor.finding import Finding
from gateway.errors import UpstreamError
from gateway.upstream.fleet import Fleet, Seat
from gateway.upstream.pool import Pool
from gateway.upstream.worker import Worker

_SECONDS = 3.0
_SHOWN = 3
EMBEDDED = Finding("worker", "ok", "the embedded reader, which starts with the gateway")


async def look(fleet: Fleet, *, embedded: bool) -> list[Finding]:
    """A finding for every replica, and for every alias. `embedded`: the default worker is the gateway's own child."""
    failed = dict(zip(fleet.workers, await asyncio.gather(*map(_asked, fleet.workers)), strict=True))
    pools = [pool for pool in fleet.pools if pool.watched]
    found = [EMBEDDED] if embedded else []
    found += [finding for pool in pools for finding in _replicas(pool, failed)]
    for name, seat in fleet.seats():
        if not (embedded and name not in fleet.homes):  # what the reader offers is known once it runs
            found.append(_alias(name, seat))
    return found


async def _asked(worker: Worker) -> str:
    """Why it does not answer; "" when it does."""
    try:
        async with asyncio.timeout(_SECONDS):
            await worker.look()
    except UpstreamError as away:
        return away.message
    except TimeoutError:
        return f"It does not tell its models within {_SECONDS:g} s."
    return ""


def _replicas(pool: Pool, failed: dict[Worker, str]) -> list[Finding]:
    """One that is away is no failure while a fellow answers."""
    if not pool.replicas:
        return [Finding("worker", "fail", "its name does not resolve to any address", "See DNS, and the URL.")]
    alone = all(failed[worker] for worker in pool.replicas)
    return [_replica(worker, failed[worker], alone=alone) for worker in pool.replicas]


def _replica(worker: Worker, failed: str, *, alone: bool) -> Finding:
    if failed:
        advice = "Start it, or mend its URL and key in MNEME_UPSTREAM or MNEME_WORKERS."
        return Finding("worker", "fail" if alone else "warn", f"{worker.shown}: {failed}", advice)
    if not worker.cards:
        advice = "See that its URL ends in /v1 as the server has it."
        return Finding("worker", "warn", f"{worker.shown} lists no model", advice)
    models = [f"{id} ({worker.window(id) or 'unknown'} tokens)" for id in worker.cards]
    more = f" and {len(models) - _SHOWN} more" if len(models) > _SHOWN else ""
    policy = f", KV policy {worker.kv.policy}" if worker.kv else ""
    told = f"{worker.shown}: {', '.join(models[:_SHOWN])}{more}{policy}"
    if not all(worker.window(id) for id in worker.cards):
        advice = "It does not tell how long a prompt may be: set MNEME_CONTEXT_TOKENS, or nothing is ever compacted."
        return Finding("worker", "warn", told, advice)
    return Finding("worker", "ok", told)


def _alias(name: str, seat: Seat | None) -> Finding:
    if seat is None or not seat.worker.reachable:
        advice = "See its entry in MNEME_WORKERS: the model, and the KV policy, must be one that its worker has."
        return Finding("alias", "fail", f"{name}: no worker answers for it", advice)
    return Finding("alias", "ok", f"{name}: {seat.model} at {seat.worker.shown}")
