"""What a user is to be told of once a turn of theirs says it. Whether one is met only the API knows."""

from urllib.parse import quote

from starlette.responses import Response

from gateway.errors import BadRequest
from gateway.pages.views.people import people
from gateway.pages.visitor import Visitor

_PER_PAGE = 50
_SAID = {"add": "It is watched for.", "delete": "It is watched for no more; the turns stay."}


async def listing(visitor: Visitor) -> Response:
    """All of a user's, and the form for another one."""
    crowd = await people(visitor)
    if not visitor.user:
        return visitor.page("watches.html", people=crowd)
    told = await visitor.api.get("/watches", cursor=visitor.asked("cursor"), limit=_PER_PAGE, **visitor.whose)
    return visitor.page(
        "watches.html",
        people=crowd,
        items=told["items"],
        cursor=told["cursor"],
        said=_SAID.get(visitor.asked("did"), ""),
        undo=None,
        onward=None,
    )


async def act(visitor: Visitor) -> Response:
    """Add one, or take one away."""
    act = visitor.sent("act")
    if act == "add":
        await visitor.api.post("/watches", {"text": visitor.sent("text")}, **visitor.whose)
    elif act == "delete" and visitor.sent("id"):
        await visitor.api.delete(f"/watches/{quote(visitor.sent('id'), safe='')}", **visitor.whose)
    else:
        raise BadRequest("There is no such act.")
    return visitor.moved(visitor.url("/watches", did=act))
