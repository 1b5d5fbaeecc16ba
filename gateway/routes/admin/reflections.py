"""/admin/reflections: what thinking about a user's turns changed, and taking it back."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from gateway.errors import Conflict, NotFound
from gateway.memory.records import Page, Scope
from gateway.memory.reflections import Reflection
from gateway.memory.thinking import Agenda
from gateway.routes.admin.door import Guarded
from gateway.routes.admin.examples import REFLECTION, shown
from gateway.routes.admin.reflection_shapes import Reflections, State
from gateway.routes.admin.render import answer
from gateway.routes.admin.whose import Cursor, Limit, Served, Whose
from gateway.services import Services

router = APIRouter(prefix="/reflections", tags=["reflections"], route_class=Guarded)

_LOOKS = 20  # pages of the agenda that one page of a filtered list may cost


def _card(reflection: Reflection) -> dict[str, Any]:
    before, after = ({memory.id for memory in images} for images in (reflection.before, reflection.after))
    return {
        "id": reflection.id,
        "policy": reflection.policy,
        "at": reflection.at,
        "turns": reflection.turns,
        "state": reflection.state,
        "made": len(after - before),
        "changed": len(before & after),
        "removed": len(before - after),
        "refused": reflection.refused,
        "error": reflection.error,
        "calls": reflection.calls,
        "tokens": reflection.tokens,
    }


@router.get("", response_model=Reflections, responses=shown({"items": [_card(REFLECTION)], "cursor": None}))
async def list_reflections(
    services: Served,
    scope: Whose,
    policy: Annotated[str | None, Query(max_length=512, description="Only this policy's.")] = None,
    state: Annotated[State | None, Query(description="Only those in this state.")] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """What thinking about a user's turns came to, latest first; the memories themselves are told one by one."""
    page = await _matching(services.reviser.agenda, scope, policy, state, cursor, limit)
    return answer({"items": [_card(reflection) for reflection in page.items], "cursor": page.cursor})


@router.get("/{id}", response_model=Reflection, responses=shown(REFLECTION))
async def get_reflection(services: Served, scope: Whose, id: str) -> Response:
    """One reflection, with every memory that it changed as it was before and after; what stands in `before` alone was
    removed, what stands in `after` alone was made."""
    return answer(await _one(services, scope, id))


@router.post("/{id}/undo", response_model=Reflection, responses=shown(REFLECTION))
async def undo_reflection(services: Served, scope: Whose, id: str) -> Response:
    """Take a reflection back: memories are what they were, and what was injected from them leaves every conversation.
    What was changed since stays, and `refused` names it. 409 for a reflection that is not applied."""
    reflection = await _one(services, scope, id)
    if reflection.state != "applied":
        raise Conflict(f"Only what is applied can be taken back: this reflection is {reflection.state}.")
    undone = await services.reviser.undo(scope, id)
    if undone is None:
        raise _unknown()
    services.telemetry.reflections.labels(undone.policy, undone.state).inc()
    return answer(undone)


async def _matching(
    agenda: Agenda, scope: Scope, policy: str | None, state: State | None, cursor: str | None, limit: int
) -> Page[Reflection]:
    found: list[Reflection] = []
    for _ in range(_LOOKS):
        page = await agenda.reflections(scope, cursor=cursor, limit=limit - len(found))
        found += [one for one in page.items if policy in (None, one.policy) and state in (None, one.state)]
        cursor = page.cursor
        if cursor is None or len(found) == limit:
            break
    return Page(tuple(found), cursor)


async def _one(services: Services, scope: Scope, id: str) -> Reflection:
    found = await services.reviser.agenda.reflection(scope, id)
    if found is None:
        raise _unknown()
    return found


def _unknown() -> NotFound:
    return NotFound("This user has no such reflection.", param="id")
