"""One memory: what it rests on, what it said before, who recalled it; and what can be done with it."""

import asyncio
from typing import Any

from starlette.responses import Response

from gateway.errors import BadRequest, Turned
from gateway.pages.api import part
from gateway.pages.visitor import Visitor

_UNDONE = {"archive": "restore", "restore": "archive", "pin": "unpin", "unpin": "pin"}
_CHANGES: dict[str, dict[str, Any]] = {
    "archive": {"status": "archived"},
    "restore": {"status": "active"},
    "pin": {"pinned": True},
    "unpin": {"pinned": False},
}
_SAID = {
    "archive": "Forgotten: it is recalled no more, until you undo this or purge it.",
    "restore": "It is recalled again.",
    "pin": "Pinned: it stands at the head of each new conversation.",
    "unpin": "Unpinned.",
    "edit": "Saved as a new version.",
    "note": "The note is kept.",
}
_STEPS = 10


async def one(visitor: Visitor) -> Response:
    """The page."""
    return await _page(visitor, await _asked(visitor))


async def act(visitor: Visitor) -> Response:
    """Edit, pin, forget, undo, or purge; an edit that somebody overtook keeps its words in the form."""
    act, memory = visitor.sent("act"), await _asked(visitor)
    path = f"/memories/{part(memory['id'])}"
    if act == "delete":
        await visitor.api.delete(path, **visitor.whose)
        return visitor.moved(visitor.url("/memories"))
    if act != "edit" and act not in _CHANGES:
        raise BadRequest("There is no such act.")
    change = {"text": visitor.sent("text")} if act == "edit" else _CHANGES[act]
    try:
        await visitor.api.patch(path, change, f'"{visitor.sent("version") or memory["version"]}"', **visitor.whose)
    except Turned as refused:
        if act != "edit":
            raise
        return await _page(visitor, memory, refused, draft=visitor.sent("text"))
    return visitor.moved(visitor.url("/memory", id=memory["id"], did=act))


async def _asked(visitor: Visitor) -> dict[str, Any]:
    memory: dict[str, Any] = await visitor.api.get(f"/memories/{part(visitor.asked('id'))}", **visitor.whose)
    return memory


async def _page(visitor: Visitor, memory: dict[str, Any], refused: Turned | None = None, draft: str = "") -> Response:
    path = f"/memories/{part(memory['id'])}"
    evidence, recalls, steps = await asyncio.gather(
        visitor.api.get(f"{path}/provenance", **visitor.whose),
        visitor.api.get(f"{path}/recalls", **visitor.whose),
        _steps(visitor, memory, path),
    )
    did = visitor.asked("did")
    said = refused.message if refused else _SAID.get(did, "")
    return visitor.page(
        "memory.html",
        refused.status if refused else 200,
        memory=memory,
        evidence=evidence,
        recalls=recalls,
        steps=steps,
        acts=_acts(memory),
        editing=refused is not None,
        draft=draft or memory["text"],
        said=said,
        undo=_undo(visitor, memory, did),
        onward=None,
    )


async def _steps(visitor: Visitor, memory: dict[str, Any], path: str) -> list[dict[str, Any]]:
    """What each edit changed, the latest first."""
    edited = memory["former"][-_STEPS:]
    asked = (
        visitor.api.get(f"{path}/diff", from_=old["version"], to=old["version"] + 1, **visitor.whose) for old in edited
    )
    told = await asyncio.gather(*asked)
    return [{**step, "until": old["until"]} for step, old in zip(told, edited, strict=True)][::-1]


def _acts(memory: dict[str, Any]) -> list[tuple[str, str]]:
    pin = ("unpin", "Unpin") if memory["pinned"] else ("pin", "Pin")
    if memory["status"] == "active":
        return [pin, ("archive", "Forget")]
    return [("restore", "Undo forgetting"), ("delete", "Purge for good")]


def _undo(visitor: Visitor, memory: dict[str, Any], did: str) -> dict[str, Any] | None:
    if did not in _UNDONE:
        return None
    fields = [("act", _UNDONE[did]), ("version", memory["version"])]
    return {"url": visitor.url("/memory", id=memory["id"]), "fields": fields}
