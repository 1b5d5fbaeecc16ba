"""/admin/forget: forget a user, and prove it. A certificate tells counts, never a word of what was said."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Body, Response

from gateway import __version__
from gateway.memory.records import Scope
from gateway.routes.admin.door import Guarded
from gateway.routes.admin.examples import CERTIFICATE, shown
from gateway.routes.admin.models import Certificate, Verdict
from gateway.routes.admin.render import answer
from gateway.routes.admin.whose import Served, Whose

router = APIRouter(prefix="/forget", tags=["forget"], route_class=Guarded)


@router.post("", response_model=Certificate, responses=shown(CERTIFICATE))
async def forget_user(services: Served, scope: Whose) -> Response:
    """Erase the user from memories, vectors, journal, sessions, traces and caches, off the disk too; a certificate.

    A worker that keeps sessions and does not answer fails the request, when all else is erased: ask again for the
    certificate."""
    await services.registry.unname(services.seal.subject(scope))  # first: what follows scrubs it from the files too
    erased = await services.curator.forget(scope)
    erased["kv"] = await services.fleet.forget(services.seal.salt(scope), services.seal.owner(scope))
    statement = {
        "id": uuid.uuid4().hex,
        "issuer": f"mneme {__version__}",
        "tenant": scope.tenant,
        "user": scope.user,
        "at": services.clock(),
        "erased": erased,
        "remains": await services.curator.held(scope),
    }
    return answer(services.seal.certify(statement))


_VERDICT = {"genuine": True, "held": CERTIFICATE["remains"], "forgotten": True}


@router.post("/verify", response_model=Verdict, responses=shown(_VERDICT))
async def verify_certificate(
    services: Served, certificate: Annotated[Certificate, Body(examples=[CERTIFICATE])]
) -> Response:
    """Whether this gateway issued exactly this certificate, and whether it still holds nothing of that user."""
    if not services.seal.verify(certificate.model_dump()):
        return answer({"genuine": False, "held": None, "forgotten": False})
    held = await services.curator.held(Scope(certificate.tenant, certificate.user))
    return answer({"genuine": True, "held": held, "forgotten": not any(held.values())})
