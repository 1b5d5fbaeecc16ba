"""/admin/policies and /admin/stats: what this gateway can do, and what it holds."""

import dataclasses
import platform
import re
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Response

from gateway import __version__
from gateway.memory.policies.base import Policy
from gateway.routes.admin.door import Guarded
from gateway.routes.admin.examples import LAG, shown
from gateway.routes.admin.fades import Fade, fades
from gateway.routes.admin.models import Policies, Stats
from gateway.routes.admin.render import answer
from gateway.routes.admin.whose import Served
from gateway.services import Services

router = APIRouter(tags=["about"], route_class=Guarded)

# As a policy's file names the paper that it is made after.
_SOURCE = re.compile(r"^The idea \(([^)]+)\)", re.M)
_POLICY = {
    "name": "memorybank",
    "about": "MemoryBank: what happened on each day, who the user is, and a forgetting curve over all of it.",
    "source": "arXiv 2305.10250",
    "default": False,
    "knobs": [{"name": "curve", "type": "Fading", "value": {"tau": 5.0}}],
    "fades": [Fade("S = 1", (0.0, 1.0, 2.0), (1.0, 0.8187, 0.6703))],
}
_STATS = {
    "tenants": [{"tenant": "acme", "users": 3, "memories": 1200, "spent": {"calls": 40, "tokens": 31_000}}],
    "journal": LAG,
    "due": 5,
    "embedder": {"identity": "all-MiniLM-L6-v2", "dimension": 384},
    "policy": "verbatim",
    "versions": {"mneme": "0.1.0", "python": "3.11.7", "fastapi": "0.165.0"},
}


@router.get("/policies", response_model=Policies, responses=shown({"policies": [_POLICY]}))
async def list_policies(services: Served) -> Response:
    """The memory policies that a request may name, how each is set, and, where one forgets, what its curves leave of a
    memory."""
    default = services.story.default_policy
    return answer({"policies": [_card(policy, name == default) for name, policy in sorted(services.policies.items())]})


@router.get("/stats", response_model=Stats, responses=shown(_STATS))
async def stats(services: Served) -> Response:
    """Counts per tenant, of those made here the first two hundred, and what their reflection asked of a model today
    (UTC); the journal's state, how many turns are to be thought about, and what runs."""
    embedder = services.embedder
    return answer(
        {
            "tenants": [await _tenant(services, tenant) for tenant in await _tenants(services)],
            "journal": await services.journal.lag(),
            "due": await services.reviser.agenda.waiting(),
            "embedder": {"identity": embedder.identity, "dimension": embedder.dimension},
            "policy": services.story.default_policy,
            "versions": {"mneme": __version__, "python": platform.python_version(), "fastapi": version("fastapi")},
        }
    )


async def _tenants(services: Services) -> list[str]:
    made = await services.registry.tenants(limit=200)
    return sorted({*services.ring.static.tenants(), *(tenant.name for tenant in made.items)})


async def _tenant(services: Services, tenant: str) -> dict[str, Any]:
    users = await services.memories.users(tenant)
    today = datetime.fromtimestamp(services.clock(), UTC).date().isoformat()
    spent = await services.reviser.agenda.spent(tenant, today)
    return {"tenant": tenant, "users": len(users), "memories": sum(users.values()), "spent": spent}


def _card(policy: Policy, default: bool) -> dict[str, Any]:
    knobs = [f for f in dataclasses.fields(policy) if f.repr and f.name != "name"]  # type: ignore[arg-type]
    told = sys.modules[type(policy).__module__].__doc__ or ""
    source = _SOURCE.search(told)
    return {
        "name": policy.name,
        "about": " ".join(told.partition("\n\n")[0].split()),
        "source": source[1] if source else "",
        "default": default,
        "knobs": [{"name": f.name, "type": _word(f.type), "value": _plain(getattr(policy, f.name))} for f in knobs],
        "fades": fades(policy),
    }


def _plain(value: Any) -> Any:
    """Knobs may hold knobs. What their repr leaves out is no knob: word vectors would be megabytes."""
    if not dataclasses.is_dataclass(value):
        return value
    return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value) if f.repr}


def _word(kind: Any) -> str:
    return kind if isinstance(kind, str) else getattr(kind, "__name__", str(kind))
