"""The shapes of counts, of acts on many memories, and of where one was recalled. No logic."""

from typing import Annotated, Literal

from pydantic import Field, StrictFloat

from gateway.memory.records import Kind, Status, Trust
from gateway.routes.admin.models import Ids, Shape

Act = Literal["archive", "restore", "pin", "unpin", "delete"]
_Name = Annotated[str, Field(max_length=512)]


class Counted(Shape):
    """How many there are."""

    count: int


class Which(Shape):
    """Memories that match every field given; without any, all. `after` and `before` bound when they were said."""

    session: _Name | None = None
    kind: Kind | None = None
    pinned: bool | None = None
    status: Status | None = None
    trust: Trust | None = None
    policy: Annotated[str, Field(min_length=1, max_length=512)] | None = Field(None, description="What it made.")
    after: str | StrictFloat | None = Field(None, description="ISO 8601, or seconds since 1970.")
    before: str | StrictFloat | None = None


class Bulk(Shape):
    """What to do with many memories, named by `ids` or by a `filter`. With `dry_run` it is only counted."""

    act: Act
    ids: Ids | None = None
    filter: Which | None = None
    dry_run: bool = False


class Changed(Shape):
    """How many memories were meant and not so yet, how many of them were changed, and how many still are to be: ask
    again until none is left."""

    matched: int
    changed: int
    left: int


class Recalled(Shape):
    """An answer that a memory was found for: its trace, when that was (seconds since 1970) and where, what was asked,
    the memory's score, and why it was not told, "" where it was."""

    trace: str
    at: float
    session: str
    question: str
    score: float
    dropped: str


class Recalls(Shape):
    """Where a memory was recalled, latest first, among the `searched` latest traces of its user."""

    items: list[Recalled]
    searched: int
