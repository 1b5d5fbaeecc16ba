"""The memories of one user: searched as recall searches, filtered, by month, and acts on many of them."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from starlette.responses import Response

from gateway.pages.views.people import people
from gateway.pages.visitor import Visitor

KINDS = (
    "turn",
    "note",
    "fact",
    "event",
    "profile",
    "opinion",
    "observation",
    "experience",
    "summary",
    "strategy",
    "concept",
    "error",
    "caption",
    "watch",
)
_STATUSES = (("active", "active"), ("archived", "archived"), ("superseded", "superseded"), ("any", "any"))
_ACTS = (
    ("archive", "Forget (can be undone)"),
    ("restore", "Undo forgetting"),
    ("pin", "Pin"),
    ("unpin", "Unpin"),
    ("delete", "Purge for good"),
)
_DONE = {"archive": "Forgotten: recalled no more", "restore": "Recalled again", "pin": "Pinned", "unpin": "Unpinned"}
_NARROWING = ("session", "kind", "trust", "after", "before", "pinned")
_PER_PAGE = 50
_MONTHS = 12
_TALLEST = 56


@dataclass(frozen=True, slots=True)
class Filters:
    """What is looked for, as the form says it; "" is anything. Dates are inclusive days, in UTC."""

    q: str = ""
    session: str = ""
    kind: str = ""
    status: str = "active"
    trust: str = ""
    after: str = ""
    before: str = ""
    pinned: str = ""
    cursor: str = ""

    @property
    def any(self) -> bool:
        """Whether anything is left out."""
        return bool(self.q or self.status != "active" or any(getattr(self, name) for name in _NARROWING))

    def narrowed(self) -> dict[str, str]:
        """As the API takes them: it ends before a moment, people mean the whole day."""
        told = {name: getattr(self, name) for name in _NARROWING}
        return told | {"before": _next_day(self.before), "status": "" if self.status == "any" else self.status}


async def listing(visitor: Visitor) -> Response:
    """The page; or only what was found, where only that is asked for."""
    filters = _filters(visitor)
    if not visitor.user:
        return visitor.page("memories.html", people=await people(visitor), filters=filters)
    found, cursor = await _found(visitor, filters)
    more = visitor.url("/memories", **_query(filters), cursor=cursor)
    shown: dict[str, Any] = {"found": found, "cursor": cursor, "more": more, "filters": filters, "acts": _ACTS}
    if visitor.partial:
        return visitor.page("parts/found.html", **shown)
    return visitor.page("memories.html", kinds=KINDS, statuses=_STATUSES, **shown)


async def timeline(visitor: Visitor) -> Response:
    """How many memories each of the last months has."""
    first = datetime.now(UTC).date().replace(day=1)
    starts = [first]
    while len(starts) < _MONTHS:
        starts.append((starts[-1] - timedelta(days=1)).replace(day=1))
    starts.reverse()
    ends = [*starts[1:], (first + timedelta(days=32)).replace(day=1)]
    counts = await asyncio.gather(*(_count(visitor, a, b) for a, b in zip(starts, ends, strict=True)))
    most = max(counts) or 1
    months = [
        {
            "label": f"{start:%B %Y}",
            "short": f"{start:%b}",
            "count": count,
            "height": max(_TALLEST * count // most, 2 if count else 0),
            "after": start.isoformat(),
            "before": (end - timedelta(days=1)).isoformat(),
        }
        for start, end, count in zip(starts, ends, counts, strict=True)
    ]
    return visitor.page("parts/timeline.html", months=months)


async def bulk(visitor: Visitor) -> Response:
    """Say what an act would change; do it when that was confirmed."""
    act, sure = visitor.sent("act"), visitor.sent("sure") == "true"
    ids = [value for name, value in visitor.form if name == "id"]
    chosen: dict[str, Any] = {"ids": ids}
    if visitor.sent("over") == "all":
        chosen = {"filter": {name: value for name, value in _sent(visitor).narrowed().items() if value}}
    elif not ids:
        return visitor.page("parts/counted.html", matched=0, label="", act=act, again=[])
    label = dict(_ACTS).get(act, act)
    told = await visitor.api.post("/memories/bulk", {"act": act, "dry_run": not sure, **chosen}, **visitor.whose)
    if not sure:
        again = [(name, value) for name, value in visitor.form if name != "word"]
        return visitor.page("parts/counted.html", matched=told["matched"], label=label, act=act, again=again)
    return visitor.page("parts/done.html", said=_said(act, told), undo=None, onward=visitor.url("/memories"))


async def note(visitor: Visitor) -> Response:
    """Keep a note of the operator's, and show it."""
    body = {"text": visitor.sent("text"), "pinned": visitor.sent("pinned") == "true"}
    kept = await visitor.api.post("/memories", body, **visitor.whose)
    return visitor.moved(visitor.url("/memory", id=kept["id"], did="note"))


async def _found(visitor: Visitor, filters: Filters) -> tuple[list[dict[str, Any]], str | None]:
    """Hits, and where the next page begins; a listing has no scores."""
    if filters.q:
        narrowed = {name: value for name, value in filters.narrowed().items() if name != "status"}
        told = await visitor.api.get("/search", q=filters.q, k=_PER_PAGE, **narrowed, **visitor.whose)
        return told["hits"], None
    told = await visitor.api.get(
        "/memories",
        order="latest",
        limit=_PER_PAGE,
        cursor=filters.cursor,
        **filters.narrowed(),
        **visitor.whose,
    )
    plain: dict[str, Any] = {"score": None, "signals": {}, "dropped": "", "superseded": "", "suspect": ""}
    return [{"memory": memory, **plain} for memory in told["items"]], told["cursor"]


async def _count(visitor: Visitor, start: date, end: date) -> int:
    told = await visitor.api.get(
        "/memories/count", after=start.isoformat(), before=end.isoformat(), status="active", **visitor.whose
    )
    return int(told["count"])


def _filters(visitor: Visitor) -> Filters:
    return Filters(**{name: visitor.asked(name) or default for name, default in _defaults().items()})


def _sent(visitor: Visitor) -> Filters:
    return Filters(**{name: visitor.sent(name) or default for name, default in _defaults().items()})


def _defaults() -> dict[str, str]:
    blank = Filters()
    return {name: getattr(blank, name) for name in Filters.__slots__}


def _query(filters: Filters) -> dict[str, str]:
    return {name: getattr(filters, name) for name in ("q", "status", *_NARROWING)}


def _next_day(day: str) -> str:
    try:
        return (date.fromisoformat(day) + timedelta(days=1)).isoformat() if day else ""
    except (ValueError, OverflowError):
        return day  # the API says what is wrong with it


def _said(act: str, told: dict[str, Any]) -> str:
    left = f"; {told['left']} more match: do it again" if told["left"] else ""
    word = _DONE.get(act, "Purged")
    return f"{word}: {told['changed']}{left}."
