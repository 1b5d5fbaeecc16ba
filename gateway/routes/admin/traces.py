"""/admin/traces: why an answer was as it was (promise 10)."""

from fastapi import APIRouter, Response

from gateway.errors import NotFound
from gateway.memory.records import Page, Trace
from gateway.routes.admin.door import Guarded
from gateway.routes.admin.examples import TRACE, shown
from gateway.routes.admin.render import answer
from gateway.routes.admin.whose import Id, Limit, NamedUser, Served, Tenant, Whose

router = APIRouter(prefix="/traces", tags=["traces"], route_class=Guarded)


@router.get("", response_model=Page[Trace], responses=shown(Page((TRACE,))))
async def list_traces(services: Served, scope: Whose, session: Id = None, limit: Limit = 50) -> Response:
    """A user's latest traces, latest first: what was recalled, from which signal, what was dropped and why."""
    return answer(Page(tuple(await services.sessions.traces(scope, session=session, limit=limit))))


@router.get("/{id}", response_model=Trace, responses=shown(TRACE))
async def get_trace(services: Served, tenant: Tenant, user: NamedUser, id: str) -> Response:
    """The trace that an answer's x-mneme-trace names. With a user given, only if it is theirs."""
    trace = await services.sessions.find_trace(tenant, id)
    if trace is None or user not in ("", trace.scope.user):
        raise NotFound("This tenant has no such trace; old ones go when there are too many.", param="id")
    return answer(trace)
