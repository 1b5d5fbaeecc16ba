"""Who may do what under /admin, on one screen. A route that does not stand here cannot be built.

`read` looks, `write` also keeps and edits notes and memories and takes reflections back, `operator` also forgets, takes
out, brings in, backs up, replays, drains, and makes tenants and keys; each may do what stands before it. What needs
more than `read` is in the audit log.
"""

from dataclasses import dataclass

from gateway.tenants.records import Role

_RANK: dict[Role, int] = {"read": 0, "write": 1, "operator": 2}


@dataclass(frozen=True, slots=True)
class Rule:
    """The least role that may; whether it is about a user whom the query names; and whether it leaves that user's name
    in the log: not the act that forgets it."""

    role: Role
    of_user: bool = False
    names: bool = True

    @property
    def audited(self) -> bool:
        """Whether it changes something or takes it out."""
        return self.role != "read"

    def allows(self, role: Role) -> bool:
        """Whether this role may."""
        return _RANK[role] >= _RANK[self.role]


RULES = {
    "GET /memories": Rule("read"),
    "POST /memories": Rule("write", of_user=True),
    "GET /memories/{id}": Rule("read"),
    "PATCH /memories/{id}": Rule("write", of_user=True),
    "DELETE /memories/{id}": Rule("write", of_user=True),
    "GET /memories/count": Rule("read"),
    "POST /memories/delete": Rule("write", of_user=True),
    "POST /memories/bulk": Rule("write", of_user=True),
    "GET /memories/{id}/history": Rule("read"),
    "GET /memories/{id}/provenance": Rule("read"),
    "GET /memories/{id}/diff": Rule("read"),
    "GET /memories/{id}/recalls": Rule("read"),
    "GET /search": Rule("read"),
    "GET /reflections": Rule("read"),
    "GET /reflections/{id}": Rule("read"),
    "POST /reflections/{id}/undo": Rule("write", of_user=True),
    "GET /watches": Rule("read"),
    "POST /watches": Rule("write", of_user=True),
    "DELETE /watches/{id}": Rule("write", of_user=True),
    "GET /export": Rule("operator", of_user=True),
    "POST /import": Rule("operator", of_user=True),
    "GET /users": Rule("read"),
    "GET /sessions": Rule("read"),
    "GET /turns": Rule("read"),
    "GET /traces": Rule("read"),
    "GET /traces/{id}": Rule("read"),
    "POST /recall": Rule("read"),
    "POST /forget": Rule("operator", of_user=True, names=False),
    "POST /forget/verify": Rule("read"),
    "GET /journal": Rule("read"),
    "GET /journal/dead": Rule("read"),
    "POST /journal/replay": Rule("operator"),
    "POST /journal/nudge": Rule("write"),
    "GET /policies": Rule("read"),
    "GET /workers": Rule("read"),
    "GET /workers/kv": Rule("read"),
    "POST /workers/drain": Rule("operator"),
    "GET /me": Rule("read"),
    "GET /stats": Rule("read"),
    "GET /vitals": Rule("read"),
    "GET /tenants": Rule("read"),
    "PUT /tenants": Rule("operator"),
    "GET /keys": Rule("read"),
    "POST /keys": Rule("operator"),
    "POST /keys/{id}/rotate": Rule("operator"),
    "DELETE /keys/{id}": Rule("operator"),
    "GET /audit": Rule("read"),
    "GET /backup": Rule("operator"),
    "POST /restore": Rule("operator"),
    "POST /snapshot": Rule("operator"),
}
"""By method and path, as the rooms name it: without the house's /admin."""
