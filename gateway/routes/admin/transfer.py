"""/admin/export and /admin/import: a user's memories as JSON Lines, out and in, without vectors, a page at a time.

A line is a memory as every other route tells it. Its `scope` is told for the reader: an import goes to the user that
the query names. Importing a line again changes nothing.
"""

import asyncio
import math
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, fields, replace
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from gateway.errors import BadRequest
from gateway.memory.records import Memory, Page, Scope
from gateway.memory.retain import Retainer
from gateway.routes.admin.door import Streamed
from gateway.routes.admin.examples import MEMORY, shown
from gateway.routes.admin.lines import NDJSON, split
from gateway.routes.admin.models import LONGEST_TEXT, Imported
from gateway.routes.admin.render import answer, encode
from gateway.routes.admin.whose import Served, Whose
from gateway.routes.inbox import Inbox
from gateway.services import Services

router = APIRouter(tags=["transfer"], route_class=Streamed)

_LINE_LIMIT = 1 << 20
_BATCH = 32
_HELD_LIMIT = 8 << 20
_PAGE = 200
_FAULTS_TOLD = 100
_LATEST = 1e11
_MOST = 1 << 53
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_KNOWN = frozenset(f.name for f in fields(Memory))
_EXAMPLE = encode(MEMORY).decode() + "\n"
_BODY = {"required": True, "content": {NDJSON: {"schema": {"type": "string"}, "example": _EXAMPLE}}}


@router.get("/export", response_class=StreamingResponse, responses=shown(_EXAMPLE, media=NDJSON))
async def export_memories(services: Served, scope: Whose) -> Response:
    """All memories of a user, archived ones included, one JSON object a line. What waits in the journal is missing."""
    first = await services.memories.browse(scope, limit=_PAGE)
    name = {"content-disposition": 'attachment; filename="memories.jsonl"'}
    return StreamingResponse(_lines(services, scope, first), media_type=NDJSON, headers=name)


_IMPORTED = {
    "imported": 11,
    "refused": 1,
    "faults": [{"line": 7, "message": "A line is a JSON object."}],
}


@router.post("/import", response_model=Imported, responses=shown(_IMPORTED), openapi_extra={"requestBody": _BODY})
async def import_memories(services: Served, scope: Whose, request: Request) -> Response:
    """Take in exported lines: by id, so that a second import changes nothing. A refused line costs no other one.

    Of every line only `id` and `text` are required. Secrets and recalled blocks are left out, as everywhere.
    """
    intake = _Intake(services, scope)
    inbox = Inbox(request.receive, services.gate.body_timeout)
    async for number, line in split(inbox.pieces(), _LINE_LIMIT):
        await intake.take(number, line)
    await intake.store()
    return answer({"imported": intake.imported, "refused": intake.refused, "faults": intake.faults})


async def _lines(services: Services, scope: Scope, page: Page[Memory]) -> AsyncIterator[bytes]:
    while page.items:
        yield b"".join(encode(memory) + b"\n" for memory in page.items)
        if page.cursor is None:
            return
        page = await services.memories.browse(scope, cursor=page.cursor, limit=_PAGE)


@dataclass
class _Intake:
    """An import under way: lines become memories, and memories are stored (and embedded) in batches.

    Many lines are held and put in the order of their conversations first: whoever comes beside a stored turn makes it
    be embedded anew, and in the order of an export, which is that of ids, that would be every one several times.
    """

    services: Services
    scope: Scope
    imported: int = 0
    refused: int = 0
    faults: list[dict[str, Any]] = field(default_factory=list)
    _held: list[Memory] = field(default_factory=list)
    _size: int = 0

    async def take(self, number: int, line: bytes) -> None:
        """One line: held to be stored, or into the faults."""
        if not line.strip():
            return
        try:
            memory = _read(line, self.scope, self.services.clock())
            self._held.append(await _washed(memory, self.services.story.retainer))
        except (BadRequest, msgspec.MsgspecError, RecursionError) as fault:
            self.refused += 1
            if len(self.faults) < _FAULTS_TOLD:
                self.faults.append({"line": number, "message": str(fault)})
        self._size += len(line)
        if self._size >= _HELD_LIMIT:
            await self.store()

    async def store(self) -> None:
        """Store what is held. Batch by batch, so that others get their turn with the stores in between."""
        line = sorted(self._held, key=lambda memory: (memory.session, memory.seq))
        for at in range(0, len(line), _BATCH):
            await self.services.curator.add(line[at : at + _BATCH])
        self.imported += len(line)
        self._held, self._size = [], 0


def _read(line: bytes, scope: Scope, now: float) -> Memory:
    """The memory that a line tells. BadRequest or msgspec's errors say what is wrong with it."""
    if len(line) > _LINE_LIMIT:
        raise BadRequest(f"The line is longer than {_LINE_LIMIT} bytes.")
    try:
        told = msgspec.json.decode(line)
    except UnicodeDecodeError:
        raise BadRequest("The line is not UTF-8.") from None
    if not isinstance(told, dict):
        raise BadRequest("A line is a JSON object.")
    if strange := sorted(told.keys() - _KNOWN):
        raise BadRequest(f"A memory has no {strange[0][:100]!r}.")
    defaults = {"session": "", "at": now, "updated": now}
    memory = msgspec.convert({**defaults, **told, "scope": {"tenant": scope.tenant, "user": scope.user}}, Memory)
    _check(memory)
    return memory


def _check(memory: Memory) -> None:
    if not _ID.fullmatch(memory.id):
        raise BadRequest("'id' must be 1 to 128 of the letters, digits and . _ : - that a URL can hold.")
    if not all(math.isfinite(t) and abs(t) < _LATEST for t in (memory.at, memory.updated)):
        raise BadRequest("'at' and 'updated' are seconds since 1970.")
    if not (0 <= memory.seq < _MOST and 1 <= memory.version < _MOST):
        raise BadRequest("'seq' must be 0 or more, 'version' 1 or more.")
    if max(len(memory.text), len(memory.reply), len(memory.gist)) > LONGEST_TEXT:
        raise BadRequest(f"'text', 'reply' or 'gist' is longer than {LONGEST_TEXT} characters.")


async def _washed(memory: Memory, retainer: Retainer) -> Memory:
    """The memory without secrets and recalled blocks in any of its texts."""
    former = [replace(version, text=await retainer.cleaned(version.text)) for version in memory.former]
    title = memory.thought.title if memory.thought else ""
    texts = (memory.text, memory.reply, memory.gist, title)
    text, reply, gist, title = await asyncio.gather(*(retainer.cleaned(each) for each in texts))
    thought = replace(memory.thought, title=title) if memory.thought else None
    return replace(memory, text=text, reply=reply, gist=gist, thought=thought, former=tuple(former))
