"""/admin/audit: what was done under /admin, by whom and to whom. Only looks; deeds.py writes."""

from typing import Any

from fastapi import APIRouter, Response

from gateway.routes.admin.door import Guarded
from gateway.routes.admin.examples import shown
from gateway.routes.admin.render import answer
from gateway.routes.admin.tenant_shapes import Audit
from gateway.routes.admin.whose import Cursor, Limit, Served
from gateway.tenants.records import Logged

router = APIRouter(tags=["audit"], route_class=Guarded)

_LINE = {
    "at": 1_777_852_800.0,
    "who": "4f9d2c6b8a1e",
    "role": "operator",
    "what": "POST /admin/forget",
    "tenant": "acme",
    "user": None,
    "subject": "n0t-a-r3al-hmac-n0t-a-r3al-hmac-n0t-a-r3al0",
    "target": "",
    "outcome": "200",
}


@router.get("/audit", response_model=Audit, responses=shown({"items": [_LINE], "cursor": None}))
async def list_acts(services: Served, cursor: Cursor = None, limit: Limit = 50) -> Response:
    """Every act that changed something or took it out, latest first. A forgotten user has no name here, but the same
    `subject` as ever; an empty `outcome` is an act of which nobody knows how it ended."""
    page = await services.registry.acts(cursor=cursor, limit=limit)
    return answer({"items": [_line(logged) for logged in page.items], "cursor": page.cursor})


def _line(logged: Logged) -> dict[str, Any]:
    act = logged.act
    return {
        "at": act.at,
        "who": act.who,
        "role": act.role,
        "what": act.what,
        "tenant": act.tenant,
        "user": logged.user,
        "subject": act.subject,
        "target": logged.target or act.target,
        "outcome": logged.outcome,
    }
