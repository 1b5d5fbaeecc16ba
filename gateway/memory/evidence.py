"""What rests on what: memories that reflection made of turns, found from the turns. Decides nothing."""

from collections.abc import Collection
from typing import get_args

from gateway.memory.filters import Filter
from gateway.memory.ports import MemoryStore
from gateway.memory.records import Kind, Memory, Scope
from gateway.memory.revise import MOST_SOURCES

DERIVED: tuple[Kind, ...] = tuple(kind for kind in get_args(Kind) if kind not in ("turn", "note"))
"""The kinds that only reflection makes."""
_PAGE = 500


async def resting_on(memories: MemoryStore, scope: Scope, turns: Collection[str]) -> list[Memory]:
    """Every memory of the user, in whatever state, that reflection made of one of these turns, or of so many turns that
    nobody can tell."""
    wanted, found = set(turns), []
    for kind in DERIVED:
        cursor = None
        while True:
            page = await memories.browse(scope, Filter(kind=kind), cursor=cursor, limit=_PAGE)
            found += [m for m in page.items if len(m.sources) >= MOST_SOURCES or wanted & set(m.sources)]
            cursor = page.cursor
            if cursor is None:
                break
    return found
