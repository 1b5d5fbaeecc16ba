"""One user's memories, as /admin tells them: the latest, or what a question finds, page by page. Draws nothing."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from gateway.errors import BadRequest
from gateway.terminal.client import Admin

PER_PAGE = 50
_MOST_FOUND = 200
_ANY = "any"


@dataclass(frozen=True, slots=True)
class Found:
    """A memory in the API's shape; where it was searched for also its score, and why it would not be told."""

    memory: Mapping[str, Any]
    score: float | None = None
    dropped: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """A memory, the turns it rests on, and every text that it had, oldest first."""

    memory: Mapping[str, Any]
    turns: list[Mapping[str, Any]]
    versions: list[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Which:
    """Whose memories, and which of them; "" is not narrowed."""

    tenant: str = ""
    user: str = ""
    session: str = ""
    kind: str = ""
    status: str = "active"


class Shelf:
    """Where memories are taken from, and put aside."""

    def __init__(self, admin: Admin, which: Which) -> None:
        self._admin = admin
        self.which = which
        self._whose = {"tenant": which.tenant, "user": which.user}
        self._narrow = {"session": which.session, "kind": which.kind}

    async def latest(self, cursor: str | None = None, limit: int = PER_PAGE) -> tuple[list[Found], str | None]:
        """What was said last first, and where the next page begins."""
        status = "" if self.which.status == _ANY else self.which.status
        told = await self._admin.get(
            "/memories", order="latest", limit=limit, cursor=cursor, status=status, **self._narrow, **self._whose
        )
        return [Found(memory) for memory in told["items"]], told["cursor"]

    async def search(self, question: str, limit: int = PER_PAGE) -> list[Found]:
        """What recall would find, best first."""
        if self.which.status not in ("active", _ANY):
            raise BadRequest("Only active memories are found: leave out --status.")
        k = min(limit, _MOST_FOUND)
        told = await self._admin.get("/search", q=question, k=k, **self._narrow, **self._whose)
        return [Found(hit["memory"], hit["score"], hit["dropped"]) for hit in told["hits"]]

    async def one(self, id: str) -> Told:
        """All that is known of one."""
        path = f"/memories/{quote(id, safe='')}"
        memory, rests, history = await asyncio.gather(
            self._admin.get(path, **self._whose),
            self._admin.get(f"{path}/provenance", **self._whose),
            self._admin.get(f"{path}/history", **self._whose),
        )
        return Told(memory, rests["turns"], history["versions"])

    async def mark(self, memory: Mapping[str, Any], status: str) -> Mapping[str, Any]:
        """Archive it, or make it active again: the next version. Turned where somebody changed it meanwhile."""
        path = f"/memories/{quote(memory['id'], safe='')}"
        told: Mapping[str, Any] = await self._admin.patch(path, {"status": status}, memory["version"], **self._whose)
        return told


async def open_shelf(admin: Admin, which: Which) -> Shelf:
    """The memories of whoever is meant. BadRequest where nobody was named and the gateway has more than its local
    user."""
    me = await admin.get("/me")
    tenant, user = which.tenant or me["tenant"], which.user or me["user"]
    if not (tenant and user):
        raise BadRequest("Name the tenant and the user: --tenant … --user …")
    return Shelf(admin, Which(tenant, user, which.session, which.kind, which.status))
