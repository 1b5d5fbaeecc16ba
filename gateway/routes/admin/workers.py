"""/admin/workers: who answers, what models and KV policy each worker tells of, which names lead to it, and who is to be
asked no more."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Response

from gateway.errors import NotFound
from gateway.routes.admin.door import Guarded
from gateway.routes.admin.examples import shown
from gateway.routes.admin.render import answer
from gateway.routes.admin.whose import Served
from gateway.routes.admin.worker_shapes import LONGEST_URL, Draining, WorkerCard, WorkerKv, Workers
from gateway.upstream.fleet import Fleet, Seat
from gateway.upstream.holding import held
from gateway.upstream.worker import Kv, Worker

router = APIRouter(tags=["about"], route_class=Guarded)

_KV = {
    "policy": "sink_window",
    "knobs": {"sink": 128, "window": 4096},
    "block": 32,
    "trained": 8192,
    "per_request": ["full", "sink_window"],
    "processes": [{"role": "engine", "pid": 4242, "rank": 0, "layers": 24}],
    "vllm": "0.32.0",
    "sessions": False,
}
_WORKER = {
    "url": "http://127.0.0.1:8000/v1",
    "default": True,
    "reachable": True,
    "state": "ready",
    "in_flight": 3,
    "models": [{"id": "qwen", "window": 100_000, "owned_by": "vllm"}],
    "kv": _KV,
    "aliases": [{"name": "endless", "model": "qwen", "policy": "sink_window"}],
}


@router.get("/workers", response_model=Workers, responses=shown({"workers": [_WORKER], "unserved": []}))
async def list_workers(services: Served) -> Response:
    """Every worker as it is now, the default one first; one that does not answer in time is told as last known."""
    fleet = services.fleet
    await fleet.glance()
    seats = dict(fleet.seats())
    return answer(
        {
            "workers": [_card(fleet, worker, seats) for worker in fleet.workers],
            "unserved": [name for name, seat in seats.items() if seat is None],
        }
    )


_HELD = {
    "url": "http://127.0.0.1:8000/v1",
    "kv": _KV,
    "block": 32,
    "pool": 4096,
    "requests": [{"id": "chatcmpl-8c1f", "policy": "sink_window", "tokens": 20_480, "live": [(0, 4), (512, 641)]}],
}


@router.get("/workers/kv", response_model=WorkerKv, responses=shown(_HELD))
async def show_kv(
    services: Served, url: Annotated[str, Query(max_length=LONGEST_URL, description="As the worker is listed.")]
) -> Response:
    """A worker's KV as it tells of it now: its policy, and which blocks its running requests hold. 404 for a stock one.

    It answers between two steps of the engine, so this may take as long as one.
    """
    worker = _named(services.fleet, url)[0]
    kv, holding = await held(worker)
    told = {"block": holding.block, "pool": holding.pool, "requests": holding.requests}
    return answer({"url": worker.shown, "kv": _report(kv), **told})


_DRAINING = {"url": "http://127.0.0.1:8000/v1", "drain": True}


@router.post("/workers/drain", response_model=WorkerCard, responses=shown(_WORKER))
async def drain_worker(services: Served, draining: Annotated[Draining, Body(examples=[_DRAINING])]) -> Response:
    """Have a replica get no new requests, or get them again. What runs there ends; `in_flight` tells when.

    Holds for this gateway process until it ends. The only replica of a worker goes on being asked.
    """
    fleet = services.fleet
    named = _named(fleet, draining.url)
    for worker in named:
        worker.standing.draining = draining.drain
    return answer(_card(fleet, named[0], dict(fleet.seats())))


def _named(fleet: Fleet, url: str) -> list[Worker]:
    """Never empty."""
    named = [worker for worker in fleet.workers if worker.shown == url]
    if not named:
        raise NotFound("No worker has this URL.", param="url")
    return named


def _report(kv: Kv) -> dict[str, Any]:
    return {name: getattr(kv, name) for name in kv.__struct_fields__ if name != "object"}


def _card(fleet: Fleet, worker: Worker, seats: dict[str, Seat | None]) -> dict[str, Any]:
    return {
        "url": worker.shown,
        "default": worker in fleet.default.replicas,
        "reachable": worker.reachable,
        "state": worker.state,
        "in_flight": worker.standing.running,
        "models": [
            {"id": id, "window": worker.window(id), "owned_by": str(card.get("owned_by", ""))}
            for id, card in worker.cards.items()
        ],
        "kv": worker.kv and _report(worker.kv),
        "aliases": [
            {"name": name, "model": seat.model, "policy": fleet.aliases[name].policy}
            for name, seat in seats.items()
            if seat and worker in seat.pool.replicas
        ],
    }
