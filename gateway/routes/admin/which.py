"""Which memories a path, a query or a body of /admin means."""

import re
from dataclasses import replace
from typing import Annotated

from fastapi import Depends, Query

from gateway.admit import instant
from gateway.errors import NotFound
from gateway.memory.filters import Filter
from gateway.memory.records import Kind, Memory, Scope, Status, Trust
from gateway.routes.admin.memory_shapes import Which
from gateway.routes.admin.whose import Id
from gateway.services import Services

_Pinned = Annotated[bool | None, Query(description="Pinned ones, or those that are not.")]
_Trust = Annotated[Trust | None, Query(description="Whose word it is.")]
_MadeBy = Annotated[str | None, Query(min_length=1, max_length=512, description="What this policy made of turns.")]
_After = Annotated[str | None, Query(max_length=64, description="Said then or later: ISO 8601, or seconds since 1970.")]
_Before = Annotated[str | None, Query(max_length=64, description="Said before then.")]


async def one(services: Services, scope: Scope, id: str) -> Memory:
    """The user's memory of that id. NotFound for another user's as for one that never was."""
    found = await services.memories.get(scope, [id])
    if not found:
        raise unknown()
    return found[0]


def unknown() -> NotFound:
    """What is said of a memory that this user does not have."""
    return NotFound("This user has no such memory.", param="id")


def moment(told: str | None, name: str) -> float | None:
    """The time that a parameter names. A query has no numbers, so what looks like one is seconds."""
    plain = told is not None and re.fullmatch(r"\d+(\.\d+)?", told)
    return instant(float(told) if told and plain else told, name)


def _narrowed(
    session: Id = None,
    kind: Kind | None = None,
    pinned: _Pinned = None,
    trust: _Trust = None,
    after: _After = None,
    before: _Before = None,
) -> Filter:
    return Filter(
        session=session,
        kind=kind,
        pinned=pinned,
        trust=trust,
        after=moment(after, "after"),
        before=moment(before, "before"),
    )


_Narrowed = Annotated[Filter, Depends(_narrowed)]


def _listed(narrowed: _Narrowed, status: Status | None = None, policy: _MadeBy = None) -> Filter:
    return replace(narrowed, status=status, policy=policy)


def _sought(narrowed: _Narrowed, made_by: _MadeBy = None) -> Filter:
    return replace(narrowed, policy=made_by)


Listed = Annotated[Filter, Depends(_listed)]
Sought = Annotated[Filter, Depends(_sought)]
"""As for a list, where `policy` means the one that ranks, and nothing is found but what is active."""


def meant(which: Which) -> Filter:
    """The filter that a body tells."""
    told = which.model_dump(exclude={"after", "before"})
    return Filter(**told, after=instant(which.after, "after"), before=instant(which.before, "before"))
