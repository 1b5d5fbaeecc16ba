"""The I/O seams of reflection: what is to be thought about, what came of it, and the model that is asked. Says what an
adapter must promise; never which adapter there is.

An agenda raises MemoryUnavailable (and nothing foreign) when its engine fails, as all stores do; see ports.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.memory.records import Page, Scope
from gateway.memory.reflections import Due, Reflection, Spent


class Agenda(Protocol):
    """Turns that are to be thought about, the reflections made of them, and what those cost. What returned is durable
    as the journal's appends are, and seen by all processes that share it."""

    async def add(self, scope: Scope, dues: Sequence[Due], at: float) -> int:
        """These turns are due, their user not before `at` (seconds since the epoch; the latest call that made something
        due counts) and not before a lease on them is over; how many the user has due now. A turn that was thought about
        under the same stamp is not due again, under another it is."""

    async def wake(self, scope: Scope, at: float) -> None:
        """The user's time comes at `at` instead, and a lease on them is over. Nothing for a user who has nothing due
        and nothing unfinished."""

    async def claim(self, now: float, lease: float) -> Scope | None:
        """A user whose time has come, the longest waiting first: who has due turns, or something unfinished, left by a
        process that died. Nobody is given them again for `lease` seconds, unless they are woken. None when there
        is none."""

    async def due(self, scope: Scope, limit: int) -> list[Due]:
        """The user's due turns, by seq."""

    async def drop(self, scope: Scope, turns: Sequence[str]) -> None:
        """These turns are not due any more, and nothing came of them; they may be added again."""

    async def tried(self, scope: Scope) -> int:
        """One more try about this user failed; how many in a row. `intend` begins anew."""

    async def intend(self, scope: Scope, reflection: Reflection, stamps: Sequence[str] = ()) -> bool:
        """Keep a reflection, and take its turns off the agenda, if all of them are still due, and, where `stamps` are
        given, under these; else False and nothing has changed. What is intended and not concluded is `unfinished`."""

    async def conclude(self, scope: Scope, reflection: Reflection) -> None:
        """Replace what was kept under the reflection's id. Nothing where there is none any more."""

    async def unfinished(self, scope: Scope) -> list[Reflection]:
        """Reflections that are intended still, earliest first."""

    async def reflection(self, scope: Scope, id: str) -> Reflection | None:
        """One by its id."""

    async def reflections(self, scope: Scope, *, cursor: str | None = None, limit: int = 50) -> Page[Reflection]:
        """Latest kept first."""

    async def erase(self, scope: Scope, turns: Sequence[str]) -> int:
        """Remove these turns and every reflection that rests on one of them, or changed a memory that does, images and
        all; how many reflections."""

    async def spend(self, tenant: str, day: str, spent: Spent) -> Spent:
        """Add to what the tenant spent on a day (YYYY-MM-DD); all of it. Days are kept for a week at least."""

    async def spent(self, tenant: str, day: str) -> Spent:
        """What the tenant spent on a day."""

    async def waiting(self) -> int:
        """How many turns of all users are due."""

    async def count(self, scope: Scope) -> int:
        """How many records (due or thought-about turns, reflections) the user has."""

    async def forget(self, scope: Scope) -> int:
        """Remove everything of the user; how many records it was."""

    async def ping(self) -> None:
        """Raise MemoryUnavailable unless the agenda answers."""


@dataclass(frozen=True, slots=True)
class Told:
    """A model's answer, and how many tokens it took, prompt and answer together (estimated where it does not say)."""

    text: str
    tokens: int


class Asker(Protocol):
    """A model that reflection asks."""

    async def ask(self, system: str, prompt: str, schema: Mapping[str, Any], images: Sequence[str] = ()) -> Told:
        """What it answers, as JSON that ought to have the schema and is not checked here. `images` are URLs.

        Raises NoModel where there is none, ModelAway when it does not answer for now, Unusable when it refuses.
        """

    async def ping(self) -> None:
        """Raise ModelAway or NoModel unless it could be asked."""
