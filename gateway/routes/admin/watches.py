"""/admin/watches: what a user asked to be told of once it is known. Thin; decides nothing."""

import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Body, Response

from gateway.errors import BadRequest, NotFound
from gateway.memory import watches
from gateway.memory.filters import Filter
from gateway.memory.records import Memory, Page
from gateway.routes.admin.door import Guarded
from gateway.routes.admin.examples import WATCH, shown
from gateway.routes.admin.models import Deleted
from gateway.routes.admin.render import answer
from gateway.routes.admin.watch_shapes import NewWatch, Watch, Watches
from gateway.routes.admin.whose import Cursor, Limit, Served, Whose

router = APIRouter(prefix="/watches", tags=["watches"], route_class=Guarded)


def _card(watch: Memory) -> dict[str, Any]:
    state = "told" if watch.status == "archived" else "met" if watches.met(watch) else "waiting"
    return {"id": watch.id, "text": watch.text, "state": state, "at": watch.at, "turns": watch.sources}


@router.get("", response_model=Watches, responses=shown(Page((_card(WATCH),))))
async def list_watches(services: Served, scope: Whose, cursor: Cursor = None, limit: Limit = 50) -> Response:
    """A user's watches in id order: waiting, met by a turn and not told of yet, or told. `turns` are the one that asked
    and the one that met it."""
    page = await services.memories.browse(scope, Filter(kind="watch"), cursor=cursor, limit=limit)
    return answer(Page(tuple(_card(watch) for watch in page.items), page.cursor))


@router.post("", response_model=Watch, status_code=201, responses=shown(_card(WATCH), 201))
async def create_watch(
    services: Served, scope: Whose, new: Annotated[NewWatch, Body(examples=[{"text": WATCH.text}])]
) -> Response:
    """Have a user told of something once a turn of theirs says it. Secrets and recalled blocks in it are not kept."""
    text = (await services.story.retainer.cleaned(new.text)).strip()
    if not text:
        raise BadRequest("'text' says nothing of its own.", param="text")
    watch = watches.made(str(uuid.uuid4()), scope, text, services.clock())
    await services.curator.add([watch])
    return answer(_card(watch), 201)


@router.delete("/{id}", response_model=Deleted, responses=shown({"deleted": 1}))
async def delete_watch(services: Served, scope: Whose, id: str) -> Response:
    """Forget a watch, and what was injected because of it; its turns stay."""
    if not await services.curator.unwatch(scope, id):
        raise NotFound("This user has no such watch.", param="id")
    return answer({"deleted": 1})
