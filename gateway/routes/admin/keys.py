"""/admin/keys: issue, list, rotate, revoke. A secret is told once, when it is made; kept is its digest."""

import uuid
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Body, Query, Request, Response

from gateway.admit import LOCAL, digest, instant
from gateway.errors import BadRequest, NotFound
from gateway.memory.records import Page
from gateway.routes.admin.deeds import made
from gateway.routes.admin.door import Guarded
from gateway.routes.admin.examples import shown
from gateway.routes.admin.render import answer
from gateway.routes.admin.tenant_shapes import Issued, NewKey, Rotation
from gateway.routes.admin.whose import Cursor, Id, Limit, Served
from gateway.services import Services
from gateway.tenants.records import KeyCard, Limits
from gateway.tenants.ring import new_secret

router = APIRouter(prefix="/keys", tags=["keys"], route_class=Guarded)

OfTenant = Annotated[str | None, Query(max_length=512, description="Whose key; left out for an admin key.")]

_CARD = KeyCard("4f9d2c6b8a1e", "per-user", "acme", label="web shop", created=1_777_852_800.0)
_NEW = {"kind": "per-user", "label": "web shop", "limits": {"requests_per_minute": 60}}
_ISSUED = {"secret": "mn-n0t-a-r3al-k3y-n0t-a-r3al-k3y-n0t-a-r3al-k3y", "key": _CARD}


@router.get("", response_model=Page[KeyCard], responses=shown(Page((_CARD,))))
async def list_keys(services: Served, tenant: Id = None, cursor: Cursor = None, limit: Limit = 50) -> Response:
    """Issued keys in the order of their issue, ended ones included, of one tenant if named; never a secret."""
    return answer(await services.registry.keys(tenant=tenant, cursor=cursor, limit=limit))


@router.post("", status_code=201, response_model=Issued, responses=shown(_ISSUED, 201))
async def issue_key(
    services: Served, request: Request, new: Annotated[NewKey, Body(examples=[_NEW])], tenant: OfTenant = None
) -> Response:
    """Make a key for a tenant, or, with kind "admin" and a role, one for /admin. The secret is told once, here."""
    now = services.clock()
    until = instant(new.expires, "expires")
    if until is not None and until <= now:
        raise BadRequest("'expires' is past.", param="expires")
    if (new.kind == "admin") != (new.role is not None):
        raise BadRequest("An admin key needs a 'role', and no other key has one.", param="role")
    card = KeyCard(
        id=uuid.uuid4().hex,
        kind=new.kind,
        tenant=await _owner(services, new, tenant),
        role=new.role or "",
        label=new.label,
        limits=Limits(**new.limits.model_dump()),
        created=now,
        until=until,
    )
    return await _issued(services, request, card)


@router.post("/{id}/rotate", status_code=201, response_model=Issued, responses=shown(_ISSUED, 201))
async def rotate_key(
    services: Served, request: Request, id: str, rotation: Annotated[Rotation, Body(examples=[{"overlap": 3600}])]
) -> Response:
    """Make a key like this one, for as long a life; this one ends when the overlap is over."""
    former, now = await services.registry.key(id), services.clock()
    if former is None:
        raise _unknown()
    if not former.opens(now):
        raise BadRequest("This key has ended: issue a new one.", param="id")
    until = None if former.until is None else now + former.until - former.created
    response = await _issued(
        services, request, replace(former, id=uuid.uuid4().hex, created=now, until=until, used=0.0)
    )
    await services.registry.end(id, now + rotation.overlap)
    return response


@router.delete("/{id}", response_model=KeyCard, responses=shown(replace(_CARD, until=0.0)))
async def revoke_key(services: Served, id: str) -> Response:
    """End a key now: this gateway, like all others, refuses it within two seconds. It stays in the list."""
    if not await services.registry.end(id, 0.0):
        raise _unknown()
    return answer(await services.registry.key(id))


async def _owner(services: Services, new: NewKey, tenant: str | None) -> str:
    """The tenant whose key it is to be, if there is such a one."""
    if new.kind == "admin":
        if tenant:
            raise BadRequest("An admin key is no tenant's.", param="tenant")
        return ""
    owner = tenant or (LOCAL.tenant if services.gate.local_only else "")
    if not owner:
        raise BadRequest("Name the tenant: ?tenant=…", param="tenant")
    if owner not in services.ring.static.tenants() and await services.registry.tenant(owner) is None:
        raise NotFound("There is no such tenant: PUT /admin/tenants makes it.", param="tenant")
    return owner


async def _issued(services: Services, request: Request, card: KeyCard) -> Response:
    secret = new_secret()
    await services.registry.issue(digest(secret.encode()), card)
    made(request, card.id)
    return answer({"secret": secret, "key": card}, 201, {"cache-control": "no-store"})


def _unknown() -> NotFound:
    return NotFound("There is no such key.", param="id")
