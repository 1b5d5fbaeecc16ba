"""/admin/tenants and /admin/keys: make, issue, list, rotate, revoke; and what a key opens meanwhile."""

import asyncio
import re
import time
from typing import Any

import pytest
from pydantic import TypeAdapter

from gateway.memory.records import Page
from gateway.routes.admin import tenant_shapes as shapes
from gateway.tenants.records import KeyCard, Tenant
from gateway.tenants.ring import MOMENT
from tests.support.admin import Desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

NONE = {"requests_per_minute": 0, "tokens_per_minute": 0}


async def status(desk: Desk, secret: str, **headers: str) -> int:
    """What a chat with this key is answered."""
    body = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
    headers = {"authorization": f"Bearer {secret}", "x-mneme-memory": "off", **headers}
    return (await desk.client.post("/v1/chat/completions", json=body, headers=headers)).status_code


async def refused(desk: Desk, body: Any, **whose: str) -> tuple[int, str | None]:
    """Status and parameter of a key that is not issued."""
    told = await desk.client.post("/admin/keys", params=whose, json=body)
    return told.status_code, told.json()["error"]["param"]


async def test_a_tenant_is_made_and_set_anew(desk: Desk) -> None:
    """What is left out becomes unlimited; when it was made stays."""
    whose = {"tenant": "globex / ünï"}
    settings = {"limits": {"requests_per_minute": 5}, "quota": {"memories": 7}, "retention": {"traces_days": 30}}
    made = (await desk.client.put("/admin/tenants", params=whose, json=settings)).json()
    again = (await desk.client.put("/admin/tenants", params=whose, json={})).json()

    assert made["limits"] == {**NONE, "requests_per_minute": 5}
    assert made["quota"] == {"memories_per_user": 0, "memories": 7}
    assert made["retention"] == {"memories_days": 0, "traces_days": 30}
    unset = {"memories_days": 0, "traces_days": 0}
    assert again == {**made, "limits": NONE, "quota": {"memories_per_user": 0, "memories": 0}, "retention": unset}
    assert again in (await desk.get("/tenants"))["items"]


@pytest.mark.parametrize(
    "body",
    [
        {"limits": {"requests_per_minute": -1}},
        {"quota": {"x": 1}},
        {"limit": {}},
        {"retention": {"memories_days": -1}},
        {"retention": {"traces_days": 1.5}},
        [],
    ],
)
async def test_settings_that_cannot_be_meant_are_refused(desk: Desk, body: Any) -> None:
    """Nothing is made."""
    told = await desk.client.put("/admin/tenants", params={"tenant": "never"}, json=body)

    assert told.status_code == 400
    assert "never" not in [tenant["name"] for tenant in (await desk.get("/tenants"))["items"]]


async def test_an_issued_key_opens_its_tenant(desk: Desk, user: str) -> None:
    """What is said with it is remembered there, for the user it names."""
    await desk.client.put("/admin/tenants", params={"tenant": user}, json={})
    key = (await desk.issue(tenant=user))["secret"]
    body = {"model": "m", "messages": [{"role": "user", "content": "My sister keeps bees."}]}
    said = {"authorization": f"Bearer {key}", "x-mneme-user": "ada"}
    assert (await desk.client.post("/v1/chat/completions", json=body, headers=said)).status_code == 200
    await desk.gateway.indexed()

    (kept,) = (await desk.get("/memories", tenant=user, user="ada"))["items"]
    assert kept["scope"] == {"tenant": user, "user": "ada"}
    assert kept["text"] == "My sister keeps bees."


async def test_a_single_user_key_needs_no_user(desk: Desk, user: str) -> None:
    """As in MNEME_KEYS."""
    await desk.client.put("/admin/tenants", params={"tenant": user}, json={})
    key = (await desk.issue("single-user", tenant=user))["secret"]
    body = {"model": "m", "messages": [{"role": "user", "content": "I like tea."}]}
    await desk.client.post("/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"})
    await desk.gateway.indexed()

    assert [kept["text"] for kept in (await desk.get("/memories", tenant=user, user=user))["items"]] == ["I like tea."]


async def test_a_secret_is_told_once_and_kept_nowhere(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Neither in a list, nor in the log, nor in any file."""
    made = await desk.client.post("/admin/keys", params={"tenant": "acme"}, json={"kind": "per-user", "label": "shop"})
    secret = made.json()["secret"]
    told = str([await desk.get("/keys", limit=200), await desk.get("/audit", limit=200)])
    data = next(iter(tmp_path_factory.getbasetemp().glob("data*")))
    files = [path for path in data.rglob("*") if path.is_file() and "models" not in path.parts]

    assert re.fullmatch(r"mn-[\w-]{43}", secret, re.ASCII)
    assert made.headers["cache-control"] == "no-store"
    assert made.json()["key"]["id"] in told
    assert secret not in told
    assert (data / "mneme.db").exists()
    assert [path for path in files if secret.encode() in path.read_bytes()] == []


async def test_a_revoked_key_opens_nothing(desk: Desk) -> None:
    """Within two seconds; it stays in the list, ended."""
    made = await desk.issue()
    assert await status(desk, made["secret"]) == 200
    revoked = await desk.client.delete(f"/admin/keys/{made['key']['id']}")
    at = time.monotonic()
    while await status(desk, made["secret"]) != 401:
        assert time.monotonic() - at < MOMENT + 0.5
        await asyncio.sleep(0.05)

    assert revoked.json() == {**made["key"], "until": 0, "used": revoked.json()["used"]}
    listed = {card["id"]: card for card in (await desk.get("/keys", limit=200))["items"]}
    assert listed[made["key"]["id"]]["until"] == 0
    assert (await desk.client.delete("/admin/keys/nobody")).status_code == 404


async def test_a_rotated_key_overlaps(desk: Desk) -> None:
    """Both open until the overlap is over; the new one is like the former, and lives as long."""
    now = time.time()
    made = await desk.issue(label="shop", limits={"requests_per_minute": 500}, expires=now + 1000)
    told = await desk.client.post(f"/admin/keys/{made['key']['id']}/rotate", json={"overlap": 1.0})
    new = told.json()
    assert [await status(desk, secret) for secret in (made["secret"], new["secret"])] == [200, 200]
    await asyncio.sleep(1.1)

    assert told.status_code == 201
    assert [await status(desk, secret) for secret in (made["secret"], new["secret"])] == [401, 200]
    lived = new["key"]["until"] - new["key"]["created"], made["key"]["until"] - made["key"]["created"]
    assert lived[0] == pytest.approx(lived[1])
    differs = ("id", "created", "until")
    assert {k: v for k, v in new["key"].items() if k not in differs} == {
        k: v for k, v in made["key"].items() if k not in differs
    }


async def test_an_ended_key_is_not_rotated(desk: Desk) -> None:
    """Nor one that there is not."""
    made = await desk.issue()
    await desk.client.delete(f"/admin/keys/{made['key']['id']}")
    told = [await desk.client.post(f"/admin/keys/{id}/rotate", json={}) for id in (made["key"]["id"], "nobody")]

    assert [answer.status_code for answer in told] == [400, 404]


async def test_a_key_that_cannot_be_meant_is_not_issued(desk: Desk) -> None:
    """And the refusal names what is wrong."""
    assert await refused(desk, {"kind": "per-user"}) == (400, "tenant")
    assert await refused(desk, {"kind": "per-user"}, tenant="nobody") == (404, "tenant")
    assert await refused(desk, {"kind": "per-user", "role": "read"}, tenant="acme") == (400, "role")
    assert await refused(desk, {"kind": "admin"}) == (400, "role")
    assert await refused(desk, {"kind": "admin", "role": "read"}, tenant="acme") == (400, "tenant")
    assert await refused(desk, {"kind": "per-user", "expires": 5}, tenant="acme") == (400, "expires")
    assert await refused(desk, {"kind": "master"}, tenant="acme") == (400, "body.kind")


async def test_keys_are_listed_by_tenant(desk: Desk, user: str) -> None:
    """Page by page, in the order of their issue."""
    await desk.client.put("/admin/tenants", params={"tenant": user}, json={})
    made = [(await desk.issue(tenant=user))["key"]["id"] for _ in range(3)]

    pages = await desk.pages("/keys", tenant=user, limit=2)
    assert [[card["id"] for card in page] for page in pages] == [made[:2], made[2:]]


async def test_answers_have_the_described_shapes(desk: Desk) -> None:
    """What is told and what is described are the same, member for member."""
    made = await desk.issue(expires="2999-01-01")
    told: list[tuple[Any, Any]] = [
        (shapes.Issued, made),
        (Page[KeyCard], await desk.get("/keys")),
        (KeyCard, (await desk.client.delete(f"/admin/keys/{made['key']['id']}")).json()),
        (Tenant, (await desk.client.put("/admin/tenants", params={"tenant": "acme"}, json={})).json()),
        (Page[Tenant], await desk.get("/tenants")),
        (shapes.Audit, await desk.get("/audit")),
    ]
    for shape, answer in told:
        adapter = TypeAdapter[Any](shape)

        assert adapter.dump_python(adapter.validate_python(answer), mode="json") == answer


async def test_stats_count_tenants_that_were_made(desk: Desk) -> None:
    """Beside those of MNEME_KEYS."""
    await desk.client.put("/admin/tenants", params={"tenant": "initech"}, json={})

    assert {"acme", "globex", "initech"} <= {tenant["tenant"] for tenant in (await desk.get("/stats"))["tenants"]}
