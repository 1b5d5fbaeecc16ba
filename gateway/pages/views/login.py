"""In and out. Whether a key is good only the API knows."""

from starlette.responses import Response

from gateway.errors import BadRequest, Turned
from gateway.pages import cookie
from gateway.pages.visitor import Visitor


async def ask(visitor: Visitor) -> Response:
    """The form."""
    return visitor.page("login.html", next=_inside(visitor.asked("next")), message="")


async def enter(visitor: Visitor) -> Response:
    """Look whether the API takes the key, and have the browser carry it."""
    key, after = visitor.sent("key").strip(), _inside(visitor.sent("next"))
    if not (key.isascii() and key.isprintable()):
        return visitor.page("login.html", BadRequest.status, next=after, message="No key looks like this.")
    try:
        await visitor.api.under(key).get("/me")
    except Turned as refused:
        return visitor.page("login.html", refused.status, next=after, message=refused.message)
    response = visitor.moved(after)
    visitor.carry(response, visitor.passes.seal(key))
    return response


async def leave(visitor: Visitor) -> Response:
    """Have the browser forget the key."""
    response = visitor.moved(f"{cookie.PATH}/login")
    visitor.carry(response, visitor.passes.seal(""))
    return response


def _inside(url: str) -> str:
    """Where to go on; nowhere but among the pages."""
    return url if url.startswith(f"{cookie.PATH}/") and "\\" not in url else f"{cookie.PATH}/memories"
