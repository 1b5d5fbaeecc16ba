"""/admin/me: what the key that is shown may do, and whom it need not name."""

from fastapi import APIRouter, Request, Response

from gateway.admit import LOCAL
from gateway.routes.admin.door import Guarded
from gateway.routes.admin.examples import shown
from gateway.routes.admin.models import Me
from gateway.routes.admin.render import answer
from gateway.routes.admin.whose import Served

router = APIRouter(tags=["about"], route_class=Guarded)

_ME = {"who": "loopback", "role": "operator", "tenant": "local", "user": "local"}


@router.get("/me", response_model=Me, responses=shown(_ME))
async def me(services: Served, request: Request) -> Response:
    """Who asks (a key's id, MNEME_ADMIN_KEY or loopback), with which role; and the tenant and user that a call is about
    which names none, "" where each call has to."""
    actor, local = request.state.actor, services.gate.local_only
    tenant, user = (LOCAL.tenant, LOCAL.user) if local else ("", "")
    return answer({"who": actor.who, "role": actor.role, "tenant": tenant, "user": user})
