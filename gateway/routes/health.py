"""/health and /metrics. Loops over every part's ping; never says more about a failure than the part's name."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from gateway.errors import MemoryUnavailable, MnemeError
from gateway.memory.records import Lag
from gateway.services import Ping, Vitals

_PATIENCE = 2.0
# The other numbers are worth having most when the journal does not answer.
_UNKNOWN = Lag(pending=-1, dead=-1, oldest=-1)


router = APIRouter(tags=["health"])


def _vitals(request: Request) -> Vitals:
    vitals: Vitals = request.app.state.vitals  # of the application, for FastAPI never lets go of a route's function
    return vitals


Looked = Annotated[Vitals, Depends(_vitals)]


@router.get("/health/live")
async def live() -> dict[str, str]:
    """The process runs and its event loop turns."""
    return {"status": "ok"}


@router.get("/health/ready")
async def ready(vitals: Looked) -> JSONResponse:
    """ok; degraded (200) when parts fail that it can do without, as answers can without memory; else down (503)."""
    names = list(vitals.pings)
    states = await asyncio.gather(*(_state(vitals.pings[name]) for name in names))
    parts = dict(zip(names, states, strict=True))
    usable = all(parts[name] == "ok" for name in vitals.needed)
    status = "ok" if set(states) == {"ok"} else "degraded" if usable else "down"
    return JSONResponse({"status": status, "parts": parts}, status_code=200 if usable else 503)


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(vitals: Looked) -> Response:
    """Prometheus text."""
    try:
        lag = await vitals.journal.lag()
    except MemoryUnavailable:
        lag = _UNKNOWN
    try:
        due = await vitals.agenda.waiting()
    except MemoryUnavailable:
        due = -1
    vitals.telemetry.pending.set(lag.pending)
    vitals.telemetry.dead.set(lag.dead)
    vitals.telemetry.oldest.set(lag.oldest)
    vitals.telemetry.thoughts_due.set(due)
    vitals.telemetry.tasks.set(len(asyncio.all_tasks()))
    return Response(generate_latest(vitals.telemetry.registry), media_type=CONTENT_TYPE_LATEST)


async def _state(ping: Ping) -> str:
    try:
        async with asyncio.timeout(_PATIENCE):
            await ping()
    except (MnemeError, TimeoutError):
        return "failing"
    return "ok"
