"""A scope's memories by when they were said, latest first, page by page: how both engines are asked for it. Knows
neither, and makes no filter.

An engine orders by time alone, and of memories said at one moment it tells whichever it likes. So what was said at the
moment in which a page ends is asked for again in the order of ids, and a cursor holds that moment and an id.
"""

import base64
import struct
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from gateway.errors import BadRequest
from gateway.memory.stores.points import PointId, Read

AT = "at"
_FIRST, _LAST = str(uuid.UUID(int=0)), str(uuid.UUID(int=2**128 - 1))
_PLACE = struct.Struct(">d16s")

Points = Sequence[Read[PointId]]


class Scroll(Protocol):
    """Asks an engine for at most `limit` points whose `at` is within bounds (gte, lte, lt): in the order of their ids,
    from `offset` on, or latest first. With the id that the next ones begin with, where they come by ids."""

    async def __call__(
        self, bounds: Mapping[str, float], limit: int, *, offset: str | None = None, latest: bool = False
    ) -> tuple[Points, PointId | None]: ...


async def latest(scroll: Scroll, cursor: str | None, limit: int) -> tuple[Points, str | None]:
    """A page and its cursor. BadRequest for a foreign one."""
    told: list[Read[PointId]] = []
    bounds: dict[str, float] = {}
    if cursor is not None:
        at, id = _place(cursor)
        same, after = await scroll({"gte": at, "lte": at}, limit, offset=id)
        if after is not None:
            return same, _cursor(at, after)
        told, bounds = [*same], {"lt": at}
    room = limit - len(told)
    earlier, _ = await scroll(bounds, room + 1, latest=True)
    if len(earlier) <= room:
        return [*told, *sorted(earlier, key=_line)], None
    at = _at(earlier[room])
    whole = [point for point in earlier if _at(point) > at]
    told += sorted(whole, key=_line)
    same, after = await scroll({"gte": at, "lte": at}, limit - len(told)) if len(told) < limit else ([], _FIRST)
    # Those of that moment may have gone meanwhile: then the next page begins behind them.
    return [*told, *same], _cursor(at, _LAST if after is None else after)


def _line(point: Read[PointId]) -> tuple[float, str]:
    return -_at(point), str(point.id)


def _at(point: Read[PointId]) -> float:
    payload: dict[str, Any] = point.payload or {}
    return float(payload[AT])


def _cursor(at: float, id: PointId) -> str:
    return base64.urlsafe_b64encode(_PLACE.pack(at, uuid.UUID(str(id)).bytes)).decode()


def _place(cursor: str) -> tuple[float, str]:
    try:
        at, id = _PLACE.unpack(base64.b64decode(cursor, b"-_", validate=True))
    except (ValueError, struct.error):
        raise BadRequest("The cursor is not one that this list gave out.", param="cursor") from None
    return at, str(uuid.UUID(bytes=id))
