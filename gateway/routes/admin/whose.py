"""What every route of /admin takes: the services, whose memory it is about, and the page of a listing."""

from typing import Annotated

from fastapi import Depends, Query, Request

from gateway.admit import LOCAL
from gateway.errors import BadRequest
from gateway.memory.records import Scope
from gateway.services import Services

_LONGEST_ID = 512

Id = Annotated[str | None, Query(max_length=_LONGEST_ID)]


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


Served = Annotated[Services, Depends(_services)]


def _tenant(
    services: Served,
    tenant: Annotated[
        str | None,
        Query(
            max_length=_LONGEST_ID, description="Whose users; may be left out when the gateway has only its local key."
        ),
    ] = None,
) -> str:
    found = tenant or (LOCAL.tenant if services.gate.local_only else "")
    if not found:
        raise BadRequest("Name the tenant: ?tenant=…", param="tenant")
    return found


Tenant = Annotated[str, Depends(_tenant)]


def _named_user(
    user: Annotated[
        str | None,
        Query(
            max_length=_LONGEST_ID, description="Whose memory; may be left out when the gateway has only its local key."
        ),
    ] = None,
) -> str:
    return user or ""


NamedUser = Annotated[str, Depends(_named_user)]
"""The user as the caller gave it; "" for none."""


def _scope(services: Served, tenant: Tenant, user: NamedUser) -> Scope:
    found = user or (LOCAL.user if services.gate.local_only else "")
    if not found:
        raise BadRequest("Name the user: ?user=…", param="user")
    return Scope(tenant, found)


Whose = Annotated[Scope, Depends(_scope)]
Cursor = Annotated[str | None, Query(max_length=2048, description="The `cursor` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=200, description="Items of a page.")]
