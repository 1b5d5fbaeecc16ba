"""Acts under /admin, written to the audit log before they are done: what cannot be written down is not done.

Says who, what, whose, when and what came of it; never a word of what is remembered. Knows no route's business.
"""

import logging
from collections.abc import Awaitable, Callable

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError

from gateway.admit import LOCAL
from gateway.errors import MemoryUnavailable, MnemeError
from gateway.memory.records import Scope
from gateway.routes.admin.roles import Rule
from gateway.services import Services
from gateway.tenants.records import Act
from gateway.tenants.ring import Actor

log = logging.getLogger(__name__)

_LONGEST = 512


async def done(
    request: Request, actor: Actor, rule: Rule, what: str, act: Callable[[Request], Awaitable[Response]]
) -> Response:
    """The answer of `act`, whose outcome is in the log. MemoryUnavailable, and nothing done, without a log."""
    services: Services = request.app.state.services
    registry, outcome = services.registry, "500"
    id = await _begun(request, actor, rule, what, services)
    try:
        response = await act(request)
        outcome = str(response.status_code)
        return response
    except MnemeError as refused:
        outcome = str(refused.status)
        raise
    except RequestValidationError:
        outcome = "400"
        raise
    finally:
        try:
            await registry.conclude(id, outcome, getattr(request.state, "made", ""))
        except MemoryUnavailable as failed:
            log.error("what came of act %s is not in the audit log: %s", id, failed.message)


def made(request: Request, id: str) -> None:
    """Tell the log what this act has made."""
    request.state.made = id


async def _begun(request: Request, actor: Actor, rule: Rule, what: str, services: Services) -> str:
    tenant, user = request.query_params.get("tenant", "")[:_LONGEST], ""
    if rule.of_user:
        local = services.gate.local_only
        tenant = tenant or (LOCAL.tenant if local else "")
        user = request.query_params.get("user", "")[:_LONGEST] or (LOCAL.user if local else "")
    subject = services.seal.subject(Scope(tenant, user)) if user else ""
    target = str(request.path_params.get("id", ""))[:_LONGEST]
    act = Act(actor.who, actor.role, what, services.clock(), tenant, subject, target)
    return await services.registry.begin(act, user if rule.names else "")
