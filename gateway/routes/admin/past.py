"""/admin/memories/{id}/…: what a memory was, what it rests on, and which answers it was recalled for. Only looks."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from gateway.errors import NotFound
from gateway.memory.records import Memory, Trace
from gateway.memory.versions import Run, difference, text_at
from gateway.routes.admin.door import Guarded
from gateway.routes.admin.examples import MEMORY, TRACE, TURN, shown
from gateway.routes.admin.memory_shapes import Recalls
from gateway.routes.admin.models import History, Provenance
from gateway.routes.admin.reflection_shapes import Difference
from gateway.routes.admin.render import answer
from gateway.routes.admin.which import one
from gateway.routes.admin.whose import Served, Whose

router = APIRouter(prefix="/memories/{id}", tags=["memories"], route_class=Guarded)

# As many as a list of traces shows: they are read whole, on the event loop, some 0.7 ms each.
_TRACES = 200
_HISTORY = {"id": MEMORY.id, "versions": [*MEMORY.former, {"version": 2, "text": MEMORY.text, "until": None}]}


@router.get("/history", response_model=History, responses=shown(_HISTORY))
async def memory_history(services: Served, scope: Whose, id: str) -> Response:
    """What a memory said before each edit, and says now."""
    memory = await one(services, scope, id)
    current = {"version": memory.version, "text": memory.text, "until": None}
    return answer({"id": id, "versions": [*memory.former, current]})


_RUNS = difference(MEMORY.former[0].text, MEMORY.text)


@router.get(
    "/diff", response_model=Difference, responses=shown({"id": MEMORY.id, "former": 1, "latter": 2, "runs": _RUNS})
)
async def memory_difference(
    services: Served,
    scope: Whose,
    id: str,
    former: Annotated[int, Query(alias="from", ge=1, description="A version, as the history numbers them.")],
    latter: Annotated[int | None, Query(alias="to", ge=1, description="Another; the current one if left out.")] = None,
) -> Response:
    """What changed between two versions of a memory: runs of words in both, in the first alone, in the second alone."""
    memory = await one(services, scope, id)
    end = memory.version if latter is None else latter
    runs = await asyncio.to_thread(_runs, memory, former, end)
    return answer({"id": id, "former": former, "latter": end, "runs": runs})


@router.get(
    "/provenance", response_model=Provenance, responses=shown({"id": MEMORY.id, "turns": [TURN], "missing": []})
)
async def memory_provenance(services: Served, scope: Whose, id: str) -> Response:
    """The turns that a memory rests on, word for word as they were journalled."""
    memory = await one(services, scope, id)
    turns = await services.journal.turns(scope, memory.sources)
    held = {turn.id for turn in turns}
    return answer({"id": id, "turns": turns, "missing": [source for source in memory.sources if source not in held]})


def _recalled(trace: Trace, id: str) -> list[dict[str, Any]]:
    where = {"trace": trace.id, "at": trace.at, "session": trace.session, "question": trace.question}
    return [{**where, "score": hit.score, "dropped": hit.dropped} for hit in trace.hits if hit.memory.id == id]


@router.get("/recalls", response_model=Recalls, responses=shown({"items": _recalled(TRACE, MEMORY.id), "searched": 31}))
async def memory_recalls(services: Served, scope: Whose, id: str) -> Response:
    """The answers that a memory was found for, latest first, among the user's latest 200 traces. `dropped` says why it
    did not enter the prompt."""
    await one(services, scope, id)
    traces = await services.sessions.traces(scope, limit=_TRACES)
    return answer({"items": [found for trace in traces for found in _recalled(trace, id)], "searched": len(traces)})


def _runs(memory: Memory, former: int, latter: int) -> tuple[Run, ...]:
    old, new = text_at(memory, former), text_at(memory, latter)
    if old is None or new is None:
        missing = "from" if old is None else "to"
        raise NotFound("Nothing is known of such a version of the memory.", param=missing)
    return difference(old, new)
