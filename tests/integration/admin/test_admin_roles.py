"""Who may do what: every route of /admin, as it is described, against every role; at one door."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from fastapi import APIRouter, FastAPI

from gateway.routes.admin import admin
from gateway.routes.admin.door import Guarded
from gateway.routes.admin.roles import RULES
from tests.support.admin import Desk, open_desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROLES = ["read", "write", "operator"]


def described() -> Iterator[tuple[str, str, str | None]]:
    """Method, path and declared role of every operation under /admin."""
    desk = FastAPI()
    desk.include_router(admin)
    for path, verbs in desk.openapi()["paths"].items():
        for verb, operation in verbs.items():
            yield verb.upper(), path, operation.get("x-mneme-role")


ROUTES = [*described()]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def keys(desk: Desk) -> AsyncIterator[dict[str, str]]:
    """An admin key of every role."""
    yield {role: (await desk.issue("admin", role=role))["secret"] for role in ROLES}


async def test_every_route_declares_a_role() -> None:
    """And every rule is some route's."""
    assert [path for _, path, role in ROUTES if role not in ROLES] == []
    assert {f"{method} {path.removeprefix('/admin')}" for method, path, _ in ROUTES} == set(RULES)


async def test_a_route_without_a_role_cannot_be_built() -> None:
    """It is noticed before anything is served."""
    router = APIRouter(route_class=Guarded)

    with pytest.raises(KeyError, match="/backdoor"):
        router.get("/backdoor")(lambda: None)


async def test_whoever_only_looks_may_read() -> None:
    """What changes something needs more; so does what takes memories out. Three questions are asked by POST."""
    asks = {"/admin/recall", "/admin/forget/verify"}
    odd = {(method, path) for method, path, role in ROUTES if (role == "read") != (method == "GET" or path in asks)}

    assert odd == {("GET", "/admin/export"), ("GET", "/admin/backup")}


async def test_what_cannot_be_taken_back_needs_an_operator() -> None:
    """Forgetting, taking out and bringing in, replaying, tenants and keys; notes and edits do not."""
    operators = {"POST /forget", "GET /export", "POST /import", "POST /journal/replay", "PUT /tenants", "POST /keys"}
    operators |= {"POST /keys/{id}/rotate", "DELETE /keys/{id}", "GET /backup", "POST /restore", "POST /snapshot"}
    writers = {"POST /memories", "PATCH /memories/{id}", "DELETE /memories/{id}", "POST /memories/delete"}
    writers |= {"POST /memories/bulk"}

    assert {RULES[name].role for name in operators} == {"operator"}
    assert {RULES[name].role for name in writers} == {"write"}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("method", "path", "least"), ROUTES, ids=lambda value: str(value))
async def test_a_role_opens_what_it_may(
    desk: Desk, keys: dict[str, str], method: str, path: str, least: str, role: str
) -> None:
    """403 for less than the route needs, before the body is read; for as much and for more, anything else."""
    answer = await desk.client.request(
        method,
        path.replace("{id}", "nobody"),
        params={"tenant": "acme", "user": "nobody"},
        content=b"{}" if ROLES.index(role) >= ROLES.index(least) else b"\xff",
        headers={"authorization": f"Bearer {keys[role]}", "content-type": "application/json"},
    )

    assert (answer.status_code == 403) == (ROLES.index(role) < ROLES.index(least))
    assert answer.status_code != 401


async def test_a_refusal_names_the_role_that_it_takes(desk: Desk, keys: dict[str, str]) -> None:
    """In OpenAI's words."""
    refused = await desk.client.post("/admin/forget", headers={"authorization": f"Bearer {keys['write']}"})

    error: dict[str, Any] = refused.json()["error"]
    assert (refused.status_code, error["type"]) == (403, "permission_error")
    assert "operator" in error["message"]


async def test_an_admin_key_opens_from_anywhere(desk: Desk, keys: dict[str, str]) -> None:
    """It needs no loopback, unlike whoever brings none; an ended one opens nothing, not even here."""
    afar = {"host": "mneme.example", "x-forwarded-for": "192.0.2.1"}
    ended = await desk.issue("admin", role="operator")
    await desk.client.delete(f"/admin/keys/{ended['key']['id']}")
    answers = [
        await desk.client.get("/admin/journal", headers={**afar, "authorization": f"Bearer {keys['read']}"}),
        await desk.client.get("/admin/journal", headers=afar),
        await desk.client.get("/admin/journal", headers={"authorization": f"Bearer {ended['secret']}"}),
    ]

    assert [answer.status_code for answer in answers] == [200, 403, 401]


async def test_the_settings_key_is_an_operator_and_issues_the_first_keys(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Beside it, issued keys have their own roles."""
    async with open_desk(tmp_path_factory.mktemp("data"), admin_key="open sesame") as desk:
        operator = {"authorization": "Bearer open sesame"}
        made = await desk.client.post("/admin/keys", json={"kind": "admin", "role": "read"}, headers=operator)
        reader = {"authorization": f"Bearer {made.json()['secret']}"}
        looked = await desk.client.get("/admin/keys", headers=reader)
        tried = await desk.client.post("/admin/keys", json={"kind": "admin", "role": "operator"}, headers=reader)

    assert (made.status_code, looked.status_code, tried.status_code) == (201, 200, 403)
