"""A session as the user saw it, and beside each answer what memory did for it."""

import asyncio
from typing import Any

from starlette.responses import Response

from gateway.pages.api import part
from gateway.pages.views.live import stream
from gateway.pages.views.people import people
from gateway.pages.visitor import Visitor

_PER_PAGE = 30
_TRACES = 200
_WIDTH, _ROW, _LABEL = 600.0, 20, 90
_ORDER = ("admit", "recall", "compose", "relay")


async def listing(visitor: Visitor) -> Response:
    """A user's sessions; or one of them, where it is named."""
    crowd = await people(visitor)
    if not visitor.user:
        return visitor.page("conversations.html", people=crowd)
    session = visitor.asked("session")
    if session:
        return visitor.page("conversation.html", people=crowd, session=session, **await _told(visitor, session))
    page = await visitor.api.get("/sessions", cursor=visitor.asked("cursor"), limit=_PER_PAGE, **visitor.whose)
    more = visitor.url("/conversations", cursor=page["cursor"]) if page["cursor"] else ""
    return visitor.page("conversations.html", people=crowd, sessions=page["items"], more=more)


async def trace(visitor: Visitor) -> Response:
    """One answer by its trace."""
    found = await visitor.api.get(f"/traces/{part(visitor.asked('id'))}", **visitor.whose)
    return visitor.page("trace.html", trace=_explained(found))


async def live(visitor: Visitor) -> Response:
    """Whether the session went on since the page was opened."""
    began: str | None = None

    async def look() -> tuple[str, str] | None:
        nonlocal began
        session = visitor.asked("session")
        latest = (await visitor.api.get("/traces", session=session, limit=1, **visitor.whose))["items"]
        newest = str(latest[0]["id"]) if latest else ""
        began = newest if began is None else began
        if newest == began:
            return None
        return "went-on", visitor.fill("parts/went_on.html", session=session)

    return stream(visitor, look)


async def _told(visitor: Visitor, session: str) -> dict[str, Any]:
    turns, traces = await asyncio.gather(
        visitor.api.get("/turns", session=session, cursor=visitor.asked("cursor"), limit=_PER_PAGE, **visitor.whose),
        visitor.api.get("/traces", session=session, limit=_TRACES, **visitor.whose),
    )
    of_turn = {one["turn"]: one for one in reversed(traces["items"])}  # the latest of a turn asked twice
    items = [
        {**item, "trace": _explained(of_turn[item["placed"]["turn"]]) if item["placed"]["turn"] in of_turn else None}
        for item in turns["items"]
    ]
    more = visitor.url("/conversations", session=session, cursor=turns["cursor"]) if turns["cursor"] else ""
    return {"turns": items, "more": more}


def _explained(trace: dict[str, Any]) -> dict[str, Any]:
    """A trace with its time drawn: each verb where it began and as long as it took."""
    millis: dict[str, float] = trace["millis"]
    verbs = [*(v for v in _ORDER if v in millis), *sorted(v for v in millis if v not in _ORDER)]
    total = sum(millis.values()) or 1.0
    bars, began = [], 0.0
    for verb in verbs:
        x = _LABEL + _WIDTH * began / total
        bars.append({"verb": verb, "x": round(x, 1), "width": round(max(_WIDTH * millis[verb] / total, 2), 1)})
        bars[-1] |= {"millis": millis[verb], "y": _ROW * len(bars) - _ROW}
        began += millis[verb]
    told = [hit for hit in trace["hits"] if not hit["dropped"]]
    left = [hit for hit in trace["hits"] if hit["dropped"]]
    return {**trace, "bars": bars, "total": total, "told": told, "left": left}
