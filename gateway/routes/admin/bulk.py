"""/admin/memories/bulk: one act on many memories. A call changes so many at most; what is left, the caller asks for
again. Thin: what changes, and what leaves with it, is the curator's."""

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request, Response

from gateway.errors import BadRequest
from gateway.memory.filters import EVERYTHING, Filter
from gateway.memory.records import Memory, Scope
from gateway.routes.admin.deeds import made
from gateway.routes.admin.door import Guarded
from gateway.routes.admin.examples import shown
from gateway.routes.admin.memory_shapes import Act, Bulk, Changed
from gateway.routes.admin.render import answer
from gateway.routes.admin.which import meant
from gateway.routes.admin.whose import Served, Whose
from gateway.services import Services

router = APIRouter(tags=["memories"], route_class=Guarded)

_AT_ONCE = 1000
_EDITS: dict[Act, tuple[str, Any, Any]] = {
    "archive": ("status", "active", "archived"),
    "restore": ("status", "archived", "active"),
    "pin": ("pinned", False, True),
    "unpin": ("pinned", True, False),
}
"""What each changes, from what, to what."""
_BULK = {"act": "archive", "filter": {"kind": "turn", "before": "2025-01-01"}, "dry_run": True}


@router.post("/memories/bulk", response_model=Changed, responses=shown({"matched": 1200, "changed": 1000, "left": 200}))
async def change_memories(
    services: Served, scope: Whose, request: Request, bulk: Annotated[Bulk, Body(examples=[_BULK])]
) -> Response:
    """Archive, restore, pin, unpin or delete many memories, each as the act on one does. Restoring is for what was
    archived, not for what was superseded. At most 1000 are changed at once: while some are left, ask again."""
    if (bulk.ids is None) == (bulk.filter is None):
        raise BadRequest("Send 'ids' or 'filter': one of them.", param="ids")
    made(request, f"{bulk.act}, a dry run" if bulk.dry_run else bulk.act)
    if bulk.ids is not None:
        return answer(await _named(services, scope, bulk.act, bulk.ids, dry_run=bulk.dry_run))
    only = _not_yet(bulk.act, meant(bulk.filter) if bulk.filter else EVERYTHING)
    if only is None:
        return answer(_told(0, 0, 0))
    return answer(await _filtered(services, scope, bulk.act, only, dry_run=bulk.dry_run))


async def _named(services: Services, scope: Scope, act: Act, ids: list[str], *, dry_run: bool) -> dict[str, int]:
    there = await services.memories.get(scope, ids)
    only = _not_yet(act, EVERYTHING) or EVERYTHING
    matched = len([memory for memory in there if only.admits(memory)])
    if act == "delete":  # as the deletion of one: also turns that are not indexed yet
        waiting = {*ids} - {memory.id for memory in there}
        matched += len(await services.journal.turns(scope, sorted(waiting)))
    if dry_run:
        return _told(matched, 0, matched)
    return _told(matched, await _done(services, scope, act, ids, only), 0)


async def _filtered(services: Services, scope: Scope, act: Act, only: Filter, *, dry_run: bool) -> dict[str, int]:
    matched = await services.memories.count(scope, only)
    if dry_run:
        return _told(matched, 0, matched)
    # By time, so that conversations go whole: what stays beside something that is deleted is embedded anew.
    page = await services.memories.browse(scope, only, latest=True, limit=_AT_ONCE)
    changed = await _done(services, scope, act, [memory.id for memory in page.items], only)
    # On the last page nothing is left, also where one of it is damaged and can be counted, but not changed.
    left = await services.memories.count(scope, only) if page.cursor else 0
    return _told(matched, changed, left)


async def _done(services: Services, scope: Scope, act: Act, ids: list[str], only: Filter) -> int:
    if act == "delete":
        return await services.curator.delete(scope, ids)
    name, _, after = _EDITS[act]

    def change(memory: Memory) -> Memory:
        changes: dict[str, Any] = {name: after} if only.admits(memory) else {}
        return replace(memory, **changes)

    return await services.curator.edit_all(scope, ids, change)


def _not_yet(act: Act, only: Filter) -> Filter | None:
    """Those that the act changes; None where that is none."""
    if act == "delete":
        return only
    name, before, _ = _EDITS[act]
    if getattr(only, name) not in (None, before):
        return None
    changes: dict[str, Any] = {name: before}
    return replace(only, **changes)


def _told(matched: int, changed: int, left: int) -> dict[str, int]:
    return {"matched": matched, "changed": changed, "left": left}
