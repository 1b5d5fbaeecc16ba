"""/admin/memories: list, search, read, write, edit, delete. Another user's id is as unknown as one that never was."""

import asyncio
import re
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Body, Header, Query, Response

from gateway.admit import instant
from gateway.errors import BadRequest, NotFound, StaleEdit, UnguardedEdit
from gateway.memory.records import Kind, Memory, Page, Scope, Status
from gateway.memory.versions import Run, difference, text_at
from gateway.routes.admin.door import Guarded
from gateway.routes.admin.examples import HIT, MEMORY, TURN, shown
from gateway.routes.admin.models import Deleted, Edit, Found, History, NewNote, Provenance, Selection
from gateway.routes.admin.reflection_shapes import Difference
from gateway.routes.admin.render import answer, etag, versioned
from gateway.routes.admin.whose import Cursor, Id, Limit, Served, Whose
from gateway.services import Services

router = APIRouter(tags=["memories"], route_class=Guarded)

_NOTE = {"text": "Prefers answers in Latvian.", "pinned": True, "at": "2026-05-04"}
_EDIT = {"text": MEMORY.text, "pinned": True, "status": "active"}
_SELECTION = {"ids": [MEMORY.id]}


@router.get("/memories", response_model=Page[Memory], responses=shown(Page((MEMORY,))))
async def list_memories(
    services: Served,
    scope: Whose,
    session: Id = None,
    kind: Kind | None = None,
    pinned: bool | None = None,
    status: Status | None = None,
    policy: Annotated[str | None, Query(min_length=1, max_length=512, description="What it made of turns.")] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Memories of a user that match every filter given, in id order. What the writer has not indexed yet is missing."""
    page = await services.memories.browse(
        scope, session=session, kind=kind, pinned=pinned, status=status, policy=policy, cursor=cursor, limit=limit
    )
    return answer(page)


@router.get("/search", response_model=Found, responses=shown({"policy": "verbatim", "hits": [HIT]}))
async def search_memories(
    services: Served,
    scope: Whose,
    q: Annotated[str, Query(min_length=1, max_length=8192, description="The question.", examples=["Where?"])],
    k: Annotated[int, Query(ge=1, le=200, description="Hits to show, best first.")] = 10,
    policy: Annotated[str | None, Query(description="A memory policy; the default one when left out.")] = None,
    as_of: Annotated[str | None, Query(max_length=64, description="What was believed then.")] = None,
) -> Response:
    """What recall finds for a question, with each signal's score, and why a hit would not enter a prompt. `as_of` (ISO
    8601, or seconds since 1970) asks for what was believed then."""
    name = policy or services.story.default_policy
    if name not in services.policies:
        raise BadRequest(f"'policy' must be one of {', '.join(sorted(services.policies))}.", param="policy")
    recaller = services.story.rememberer.recaller
    recall = await recaller.recall(services.policies[name], scope, q, services.clock(), _moment(as_of))
    return answer({"policy": name, "hits": recall.hits[:k]})


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
    return versioned(await _one(services, scope, id))


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
        raise _unknown()
    return versioned(changed)


@router.delete("/memories/{id}", response_model=Deleted, responses=shown({"deleted": 1}))
async def delete_memory(services: Served, scope: Whose, id: str) -> Response:
    """Delete a memory with the turns it rests on, and what was injected from it; also a turn not indexed yet."""
    if not (await services.memories.get(scope, [id]) or await services.journal.turns(scope, [id])):
        raise _unknown()
    return answer({"deleted": await services.curator.delete(scope, [id])})


_HISTORY = {"id": MEMORY.id, "versions": [*MEMORY.former, {"version": 2, "text": MEMORY.text, "until": None}]}


@router.get("/memories/{id}/history", response_model=History, responses=shown(_HISTORY))
async def memory_history(services: Served, scope: Whose, id: str) -> Response:
    """What a memory said before each edit, and says now."""
    memory = await _one(services, scope, id)
    current = {"version": memory.version, "text": memory.text, "until": None}
    return answer({"id": id, "versions": [*memory.former, current]})


_RUNS = difference(MEMORY.former[0].text, MEMORY.text)


@router.get(
    "/memories/{id}/diff",
    response_model=Difference,
    responses=shown({"id": MEMORY.id, "former": 1, "latter": 2, "runs": _RUNS}),
)
async def memory_difference(
    services: Served,
    scope: Whose,
    id: str,
    former: Annotated[int, Query(alias="from", ge=1, description="A version, as the history numbers them.")],
    latter: Annotated[int | None, Query(alias="to", ge=1, description="Another; the current one if left out.")] = None,
) -> Response:
    """What changed between two versions of a memory: runs of words in both, in the first alone, in the second alone."""
    memory = await _one(services, scope, id)
    end = memory.version if latter is None else latter
    runs = await asyncio.to_thread(_runs, memory, former, end)
    return answer({"id": id, "former": former, "latter": end, "runs": runs})


@router.get(
    "/memories/{id}/provenance",
    response_model=Provenance,
    responses=shown({"id": MEMORY.id, "turns": [TURN], "missing": []}),
)
async def memory_provenance(services: Served, scope: Whose, id: str) -> Response:
    """The turns that a memory rests on, word for word as they were journalled."""
    memory = await _one(services, scope, id)
    turns = await services.journal.turns(scope, memory.sources)
    held = {turn.id for turn in turns}
    return answer({"id": id, "turns": turns, "missing": [source for source in memory.sources if source not in held]})


async def _one(services: Services, scope: Scope, id: str) -> Memory:
    found = await services.memories.get(scope, [id])
    if not found:
        raise _unknown()
    return found[0]


def _runs(memory: Memory, former: int, latter: int) -> tuple[Run, ...]:
    old, new = text_at(memory, former), text_at(memory, latter)
    if old is None or new is None:
        missing = "from" if old is None else "to"
        raise NotFound("Nothing is known of such a version of the memory.", param=missing)
    return difference(old, new)


def _moment(as_of: str | None) -> float | None:
    """A query has no numbers, so what looks like one is seconds."""
    plain = as_of is not None and re.fullmatch(r"\d+(\.\d+)?", as_of)
    return instant(float(as_of) if as_of and plain else as_of, "as_of")


def _unknown() -> NotFound:
    return NotFound("This user has no such memory.", param="id")


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
