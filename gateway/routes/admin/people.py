"""/admin/users, /admin/sessions, /admin/turns: who talks to the gateway, in which conversations, and what was said."""

import base64
from typing import Annotated

from fastapi import APIRouter, Query, Response

from gateway.errors import BadRequest, NotFound
from gateway.routes.admin.door import Guarded
from gateway.routes.admin.examples import PLACED, TURN, shown
from gateway.routes.admin.models import Sessions, Turns, Users
from gateway.routes.admin.render import answer
from gateway.routes.admin.whose import Cursor, Limit, Served, Tenant, Whose

router = APIRouter(tags=["people"], route_class=Guarded)

_USERS = {"items": [{"user": "ada", "memories": 12}], "cursor": None}
_SESSIONS = {"items": [{"session": "beekeeping", "turns": 4, "last": TURN.at}], "cursor": None}
_TURNS = {"items": [{"placed": PLACED, "turn": TURN}], "cursor": None}


@router.get("/users", response_model=Users, responses=shown(_USERS))
async def list_users(services: Served, tenant: Tenant, cursor: Cursor = None, limit: Limit = 50) -> Response:
    """Users of a tenant who have memories, by name, and how many."""
    after = _unpack(cursor)
    counts = await services.memories.users(tenant)
    names = sorted(name for name in counts if after is None or name > after)
    items = [{"user": name, "memories": counts[name]} for name in names[:limit]]
    return answer({"items": items, "cursor": _pack(names[limit - 1]) if len(names) > limit else None})


@router.get("/sessions", response_model=Sessions, responses=shown(_SESSIONS))
async def list_sessions(services: Served, scope: Whose, cursor: Cursor = None, limit: Limit = 50) -> Response:
    """A user's conversations, latest first."""
    page = await services.sessions.sessions(scope, cursor=cursor, limit=limit)
    items = [{"session": session, "turns": turns, "last": last} for session, turns, last in page.items]
    return answer({"items": items, "cursor": page.cursor})


@router.get("/turns", response_model=Turns, responses=shown(_TURNS))
async def list_turns(
    services: Served,
    scope: Whose,
    session: Annotated[str, Query(max_length=512, description="The conversation.")],
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """A conversation's turns, earliest first: what was placed into each prompt, and what was said."""
    page = await services.sessions.placements(scope, session, cursor=cursor, limit=limit)
    if not page.items and cursor is None:
        raise NotFound("This user has no such session.", param="session")
    turns = {turn.id: turn for turn in await services.journal.turns(scope, [placed.turn for placed in page.items])}
    items = [{"placed": placed, "turn": turns.get(placed.turn)} for placed in page.items]
    return answer({"items": items, "cursor": page.cursor})


def _pack(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode("utf-8", "surrogatepass")).decode()


def _unpack(cursor: str | None) -> str | None:
    if cursor is None:
        return None
    try:
        return base64.b64decode(cursor, b"-_", validate=True).decode("utf-8", "surrogatepass")
    except ValueError:
        raise BadRequest("The cursor is not one that this list gave out.", param="cursor") from None
