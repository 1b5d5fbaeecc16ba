"""/admin/memories: list, count, read, write, edit, delete. Another user's id is as unknown as one that never was."""

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Literal

from fastapi import APIRouter, Body, Header, Query, Response

from gateway.admit import instant
from gateway.errors import BadRequest, StaleEdit, UnguardedEdit
from gateway.memory.records import Memory, Page
from gateway.routes.admin.door import Guarded
from gateway.routes.admin.examples import MEMORY, shown
from gateway.routes.admin.memory_shapes import Counted
from gateway.routes.admin.models import Deleted, Edit, NewNote, Selection
from gateway.routes.admin.render import answer, etag, versioned
from gateway.routes.admin.which import Listed, one, unknown
from gateway.routes.admin.whose import Cursor, Limit, Served, Whose
from gateway.services import Services

router = APIRouter(tags=["memories"], route_class=Guarded)

_NOTE = {"text": "Prefers answers in Latvian.", "pinned": True, "at": "2026-05-04"}
_EDIT = {"text": MEMORY.text, "pinned": True, "status": "active"}
_SELECTION = {"ids": [MEMORY.id]}


@router.get("/memories", response_model=Page[Memory], responses=shown(Page((MEMORY,))))
async def list_memories(
    services: Served,
    scope: Whose,
    only: Listed,
    order: Annotated[Literal["id", "latest"], Query(description="By id, or what was said last first.")] = "id",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Memories of a user that match every filter given. What the writer has not indexed yet is missing."""
    latest = order == "latest"
    return answer(await services.memories.browse(scope, only, latest=latest, cursor=cursor, limit=limit))


@router.get("/memories/count", response_model=Counted, responses=shown({"count": 1024}))
async def count_memories(services: Served, scope: Whose, only: Listed) -> Response:
    """How many memories of a user match every filter given."""
    return answer({"count": await services.memories.count(scope, only)})


@router.post("/memories", response_model=Memory, status_code=201, responses=shown(MEMORY, 201))
async def create_memory(services: Served, scope: Whose, note: Annotated[NewNote, Body(examples=[_NOTE])]) -> Response:
    """Keep a note of the operator's. Secrets and recalled blocks in it are not kept."""
    now = services.clock()
    at = instant(note.at, "at")
    memory = Memory(
        id=str(uuid.uuid4()),
        scope=scope,
        session="",
        text=await _told(services, note.text),
        kind="note",
        trust="operator",
        pinned=note.pinned,
        at=now if at is None else at,
        updated=now,
    )
    await services.curator.add([memory])
    return versioned(memory, 201)


@router.post("/memories/delete", response_model=Deleted, responses=shown({"deleted": 1}))
async def delete_memories(
    services: Served, scope: Whose, selection: Annotated[Selection, Body(examples=[_SELECTION])]
) -> Response:
    """Delete many memories, each as the deletion of one does; ids that do not exist are passed over."""
    return answer({"deleted": await services.curator.delete(scope, selection.ids)})


@router.get("/memories/{id}", response_model=Memory, responses=shown(MEMORY))
async def get_memory(services: Served, scope: Whose, id: str) -> Response:
    """One memory; its ETag is its version."""
    return versioned(await one(services, scope, id))


@router.patch("/memories/{id}", response_model=Memory, responses=shown(MEMORY))
async def edit_memory(
    services: Served,
    scope: Whose,
    id: str,
    edit: Annotated[Edit, Body(examples=[_EDIT])],
    if_match: Annotated[str | None, Header(description="The ETag of the version that is edited, or *.")] = None,
) -> Response:
    """Make the next version of a memory. 428 without If-Match, 412 when the memory has changed meanwhile."""
    if if_match is None:
        raise UnguardedEdit("Send 'If-Match: <ETag>' to say which version you edit.", param="If-Match")
    changes = edit.model_dump(exclude_none=True)
    if not changes:
        raise BadRequest("Nothing is to be changed: send 'text', 'pinned' or 'status'.")
    if edit.text is not None:
        changes["text"] = await _told(services, edit.text)
    changed = await services.curator.edit(scope, id, _unless_stale(if_match, changes))
    if changed is None:
        raise unknown()
    return versioned(changed)


@router.delete("/memories/{id}", response_model=Deleted, responses=shown({"deleted": 1}))
async def delete_memory(services: Served, scope: Whose, id: str) -> Response:
    """Delete a memory with the turns it rests on, and what was injected from it; also a turn not indexed yet."""
    if not (await services.memories.get(scope, [id]) or await services.journal.turns(scope, [id])):
        raise unknown()
    return answer({"deleted": await services.curator.delete(scope, [id])})


async def _told(services: Services, text: str) -> str:
    said = (await services.story.retainer.cleaned(text)).strip()
    if not said:
        raise BadRequest("'text' says nothing of its own.", param="text")
    return said


def _unless_stale(if_match: str, changes: dict[str, str | bool]) -> Callable[[Memory], Memory]:
    """The change, which refuses any version but the one meant; asked while nobody else can edit."""
    meant = {tag.strip() for tag in if_match.split(",")}

    def change(memory: Memory) -> Memory:
        if not meant & {"*", etag(memory)}:
            raise StaleEdit(f"The memory is at version {memory.version} now: read it again.", param="If-Match")
        return replace(memory, **changes)  # type: ignore[arg-type]  # the model has checked names and types

    return change
