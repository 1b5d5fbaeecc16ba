"""The shapes of /admin/reflections and of what changed in a memory. No logic."""

from typing import Literal

from gateway.memory.versions import Run
from gateway.routes.admin.models import Shape

State = Literal["intended", "applied", "failed", "undone"]


class ReflectionCard(Shape):
    """What thinking about some turns came to: how many memories it made, changed and removed; `refused` says which
    operations were not carried out and why, `error` why nothing came of it. `calls` and `tokens` are its cost."""

    id: str
    policy: str
    at: float
    turns: list[str]
    state: State
    made: int
    changed: int
    removed: int
    refused: list[str]
    error: str
    calls: int
    tokens: int


class Reflections(Shape):
    """A page of reflections, latest first; with a filter it may be short, or empty, and not the last."""

    items: list[ReflectionCard]
    cursor: str | None


class Difference(Shape):
    """How one version's text becomes another's, by words."""

    id: str
    former: int
    latter: int
    runs: list[Run]
