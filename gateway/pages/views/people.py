"""Whose memory a page is about, and the acts that are about all of it."""

from typing import Any

from starlette.responses import Response

from gateway.errors import BadRequest
from gateway.pages.api import Relay
from gateway.pages.visitor import Visitor

_SOME = 100


async def people(visitor: Visitor) -> dict[str, Any]:
    """Tenants, and the first users of the one that is looked at, where somebody has to choose from them; counting whom
    there is takes long where there is much."""
    if visitor.user:
        return {"tenants": [], "users": [], "more": False}
    return await _known(visitor)


async def choices(visitor: Visitor) -> Response:
    """The same as what the fields offer, once somebody is about to type there."""
    return visitor.page("parts/choices.html", people=await _known(visitor))


async def _known(visitor: Visitor) -> dict[str, Any]:
    told = await visitor.api.get("/tenants", limit=_SOME)
    tenants = {card["name"] for card in told["items"]} | {str(visitor.me["tenant"]), visitor.tenant} - {""}
    if not visitor.tenant:
        return {"tenants": sorted(tenants), "users": [], "more": False}
    users = await visitor.api.get("/users", tenant=visitor.tenant, limit=_SOME)
    return {"tenants": sorted(tenants), "users": users["items"], "more": bool(users["cursor"])}


async def export(visitor: Visitor) -> Response:
    """Everything, as the API streams it."""
    return Relay(visitor.api, "/export", visitor.request.url.query.encode())


async def forget(visitor: Visitor) -> Response:
    """Erase a user; the certificate is the only thing left, so it is shown."""
    if visitor.sent("confirm") != visitor.user:
        raise BadRequest("The name that was typed is not this user's: nobody was forgotten.")
    certificate = await visitor.api.post("/forget", **visitor.whose)
    return visitor.page("forgotten.html", certificate=certificate)
