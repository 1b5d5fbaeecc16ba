"""/admin/journal: how far behind the writer is, what it could not index, and trying that again.

The journal is one for the whole gateway, so these routes alone name no user.
"""

from typing import Annotated

from fastapi import APIRouter, Body, Response

from gateway.errors import BadRequest
from gateway.memory.records import Dead, Lag, Page
from gateway.routes.admin.door import Guarded
from gateway.routes.admin.examples import DEAD, LAG, shown
from gateway.routes.admin.models import Replay, Replayed
from gateway.routes.admin.render import answer
from gateway.routes.admin.whose import Cursor, Limit, Served

router = APIRouter(prefix="/journal", tags=["journal"], route_class=Guarded)


@router.get("", response_model=Lag, responses=shown(LAG))
async def journal_state(services: Served) -> Response:
    """Turns that wait, dead letters, and the oldest waiting turn's age in seconds."""
    return answer(await services.journal.lag())


@router.get("/dead", response_model=Page[Dead], responses=shown(Page((DEAD,))))
async def dead_letters(services: Served, cursor: Cursor = None, limit: Limit = 50) -> Response:
    """Turns that could not be indexed, oldest first, of all users. They are recalled all the same."""
    return answer(await services.journal.dead(cursor=cursor, limit=limit))


@router.post("/replay", response_model=Replayed, responses=shown({"replayed": 1}))
async def replay_dead_letters(
    services: Served, replay: Annotated[Replay, Body(examples=[{"all": True}, {"ids": [DEAD.turn.id]}])]
) -> Response:
    """Try dead letters again: those named by their turns' ids, or {"all": true}."""
    if (replay.ids is None) == (replay.all is None):
        raise BadRequest('Send either {"ids": […]} or {"all": true}.')
    replayed = await services.journal.replay(replay.ids or [])
    services.story.nudge()
    return answer({"replayed": replayed})


@router.post("/nudge", status_code=202, response_model=Lag, responses=shown(LAG, 202))
async def nudge_writer(services: Served) -> Response:
    """Wake the writer now; the journal's state as it was."""
    lag = await services.journal.lag()
    services.story.nudge()
    return answer(lag, 202)
