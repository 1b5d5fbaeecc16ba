"""What thinking about a user's turns changed, memory by memory, and taking it back. Undoing is the API's."""

from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from gateway.errors import BadRequest
from gateway.pages.views.people import people
from gateway.pages.visitor import Visitor

_STATES = ("applied", "undone", "failed", "intended")
_PER_PAGE = 50
_UNDONE = "Taken back: memories are what they were, and what was placed of these leaves every conversation."


async def listing(visitor: Visitor) -> Response:
    """All of a user's, latest first; or those of one policy, or in one state."""
    crowd = await people(visitor)
    if not visitor.user:
        return visitor.page("reflections.html", people=crowd)
    policy, state, cursor = visitor.asked("policy"), visitor.asked("state"), visitor.asked("cursor")
    told = await visitor.api.get(
        "/reflections", policy=policy, state=state, cursor=cursor, limit=_PER_PAGE, **visitor.whose
    )
    known = [card["name"] for card in (await visitor.api.get("/policies"))["policies"]]
    return visitor.page(
        "reflections.html",
        people=crowd,
        items=told["items"],
        cursor=told["cursor"],
        policy=policy,
        state=state,
        policies=known,
        states=_STATES,
        later=bool(cursor),
    )


async def one(visitor: Visitor) -> Response:
    """One of them, with each memory as it was before and after."""
    reflection = await visitor.api.get(f"/reflections/{_id(visitor)}", **visitor.whose)
    said = _UNDONE if visitor.asked("did") == "undo" else ""
    return visitor.page(
        "reflection.html", reflection=reflection, changes=_changes(reflection), said=said, undo=None, onward=None
    )


async def undo(visitor: Visitor) -> Response:
    """Take it back."""
    await visitor.api.post(f"/reflections/{_id(visitor)}/undo", **visitor.whose)
    return visitor.moved(visitor.url("/reflection", id=visitor.asked("id"), did="undo"))


def _changes(reflection: dict[str, Any]) -> list[dict[str, Any]]:
    """Of each memory what was done to it, and how it was before and after; None where it did not exist."""
    before, after = ({memory["id"]: memory for memory in reflection[side]} for side in ("before", "after"))
    changes = []
    for id in [*after, *(id for id in before if id not in after)]:
        former, latter = before.get(id), after.get(id)
        what = "made" if former is None else "removed" if latter is None else "changed"
        changes.append({"id": id, "what": what, "former": former, "latter": latter})
    return changes


def _id(visitor: Visitor) -> str:
    if not visitor.asked("id"):
        raise BadRequest("Name the reflection.")
    return quote(visitor.asked("id"), safe="")
