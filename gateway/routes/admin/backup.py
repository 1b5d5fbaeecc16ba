"""/admin/backup, /admin/restore, /admin/snapshot: everything that is kept, out and in again. About no user, but all."""

import logging
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from gateway.backup.lines import LONGEST, Counts, Head, encode
from gateway.backup.restore import restored
from gateway.backup.snapshot import Snapshot
from gateway.backup.write import written
from gateway.errors import Conflict, MemoryUnavailable
from gateway.routes.admin.deeds import made
from gateway.routes.admin.door import Streamed
from gateway.routes.admin.examples import MEMORY, shown
from gateway.routes.admin.lines import NDJSON, split
from gateway.routes.admin.render import answer
from gateway.routes.admin.whose import Served
from gateway.routes.inbox import Inbox
from gateway.services import Services

log = logging.getLogger(__name__)
router = APIRouter(tags=["backup"], route_class=Streamed)

_HEAD = Head(1, "0.1.0", "all-MiniLM-L6-v2", MEMORY.at)
_COUNTS = Counts(memories=1)
_LINES = (encode(_HEAD) + encode(MEMORY) + encode(_COUNTS)).decode()
_SNAPSHOT = Snapshot("mneme-data/snapshots/20260504T000000.000000Z", 1_234_567, 0.25, {"mneme.db": 12, "memories": 12})
_BODY = {"required": True, "content": {NDJSON: {"schema": {"type": "string"}, "example": _LINES}}}
_ELSEWHERE = (
    "A snapshot is a copy of a data directory; here memories or the journal are kept by servers. Use their own tools, "
    "Redis first (BGSAVE, or a copy of its append-only files), then Qdrant's snapshots; or GET /admin/backup."
)


@router.get("/backup", response_class=StreamingResponse, responses=shown(_LINES, media=NDJSON))
async def back_up(services: Served) -> Response:
    """All tenants, keys (never a secret), turns, memories without vectors, and placements, one JSON object a line. The
    last line counts the others: without it the backup was cut."""
    for part in (services.journal, services.memories, services.sessions):
        await part.ping()
    name = {"content-disposition": 'attachment; filename="mneme-backup.jsonl"'}
    return StreamingResponse(_told(services), media_type=NDJSON, headers=name)


@router.post("/restore", response_model=Counts, responses=shown(_COUNTS), openapi_extra={"requestBody": _BODY})
async def restore(services: Served, request: Request) -> Response:
    """Take in a whole backup where there are no memories and no turns; embeds anew. How much it was. A damaged or
    missing line ends it there, and the refusal tells what was taken in before."""
    inbox = Inbox(request.receive, services.gate.body_timeout)
    lines = split(inbox.pieces(), LONGEST)
    return answer(await restored(lines, services.curator, services.registry, services.story.nudge))


@router.post("/snapshot", status_code=201, response_model=Snapshot, responses=shown(_SNAPSHOT, 201))
async def take_snapshot(services: Served, request: Request) -> Response:
    """Copy the data directory, while it is in use, to one below it that can be opened as it is; `held` counts turns in
    the journal's file and memories in the others."""
    if services.snapshot is None:
        raise Conflict(_ELSEWHERE)
    snapshot = await services.snapshot()
    made(request, snapshot.path.rpartition("/")[2])
    return answer(snapshot, 201)


async def _told(services: Services) -> AsyncIterator[bytes]:
    try:
        async for piece in written(services.curator, services.registry):
            yield piece
    except MemoryUnavailable as failed:
        log.error("a backup ends without its last line: %s", failed.message)
        raise
