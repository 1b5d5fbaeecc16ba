"""The shapes of /admin/watches. No logic."""

from typing import Annotated, Literal

from pydantic import Field

from gateway.admit import LONGEST_WATCH
from gateway.routes.admin.models import Shape


class NewWatch(Shape):
    """What a user is to be told of."""

    text: Annotated[str, Field(min_length=1, max_length=LONGEST_WATCH)]


class Watch(Shape):
    """What a user asked to be told of: `waiting`, `met` by a turn and not told of yet, or `told`. `turns` are the one
    that asked (none where an operator did) and the one that met it."""

    id: str
    text: str
    state: Literal["waiting", "met", "told"]
    at: float
    turns: list[str]


class Watches(Shape):
    """A page of watches."""

    items: list[Watch]
    cursor: str | None
