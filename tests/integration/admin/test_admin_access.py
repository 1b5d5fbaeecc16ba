"""Who may enter /admin: with a key, the key's holder; without one, this machine and no web page on it."""

from pathlib import Path

import httpx
import pytest

from tests.support.admin import Desk, open_desk
from tests.support.gateway import running_gateway
from tests.support.upstream import scripted_upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_without_a_key_loopback_may_enter(desk: Desk) -> None:
    """A request from this machine, asked for as localhost, is answered."""
    assert (await desk.client.get("/admin/journal")).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8080", "mneme:80"])
async def test_a_rebound_host_is_refused(desk: Desk, host: str) -> None:
    """A page that points its own name at this machine reads nothing."""
    refused = await desk.client.get("/admin/journal", headers={"host": host})

    assert (refused.status_code, refused.json()["error"]["type"]) == (403, "permission_error")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8080", "[::1]:8080"])
async def test_every_name_of_loopback_may_enter(desk: Desk, host: str) -> None:
    """localhost is localhost, in any spelling and at any port."""
    assert (await desk.client.get("/admin/journal", headers={"host": host})).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost.evil.example", "https://[", "x"])
async def test_a_foreign_page_changes_nothing(desk: Desk, user: str, origin: str) -> None:
    """A state-changing call that another site's page makes is refused, and nothing has changed."""
    whose = {"tenant": "acme", "user": user}
    refused = await desk.client.post("/admin/memories", params=whose, json={"text": "x"}, headers={"origin": origin})

    assert refused.status_code == 403
    assert (await desk.get("/memories", user=user))["items"] == []


async def test_a_local_page_may_change_things(desk: Desk, user: str) -> None:
    """A tool served from this machine works."""
    whose = {"tenant": "acme", "user": user}
    origin = {"origin": f"http://localhost:{desk.gateway.port}"}
    made = await desk.client.post("/admin/memories", params=whose, json={"text": "x"}, headers=origin)

    assert made.status_code == 201


@pytest.mark.parametrize("name", ["x-forwarded-for", "forwarded", "x-real-ip", "via"])
async def test_what_a_proxy_passes_on_is_not_local(desk: Desk, name: str) -> None:
    """A proxy on this machine does not make the whole world loopback."""
    refused = await desk.client.get("/admin/journal", headers={name: "127.0.0.1"})

    assert refused.status_code == 403


@pytest.mark.parametrize("query", ["user=%ff", "user=%ed%a0%80", "tenant=a%80"])
async def test_a_query_that_is_not_utf8_is_refused(desk: Desk, query: str) -> None:
    """Bytes that would be replaced could name another user, so they are no name at all."""
    refused = await desk.client.get(f"/admin/memories?{query}")

    assert (refused.status_code, refused.json()["error"]["type"]) == (400, "invalid_request_error")


async def test_a_user_is_asked_for_where_keys_are_set(desk: Desk) -> None:
    """With MNEME_KEYS there is no default user."""
    refused = await desk.client.get("/admin/memories?tenant=acme")

    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "user")


async def test_a_tenant_is_asked_for_where_keys_are_set(desk: Desk) -> None:
    """With MNEME_KEYS there is no default tenant."""
    refused = await desk.client.get("/admin/memories?user=ada")

    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "tenant")


async def test_the_local_key_has_a_default_user(tmp_path: Path) -> None:
    """With the one local key, /admin is about its user."""
    async with (
        scripted_upstream() as worker,
        running_gateway(tmp_path, worker.url) as gateway,
        httpx.AsyncClient(base_url=gateway.url) as client,
    ):
        made = await client.post("/admin/memories", json={"text": "Likes tea."})

    assert made.json()["scope"] == {"tenant": "local", "user": "local"}


async def test_the_admin_key_opens_from_anywhere_and_nothing_else_does(tmp_path: Path) -> None:
    """Once set, the key is needed also on loopback, and no other key, scheme or spelling will do."""
    async with open_desk(tmp_path, admin_key="open sesame") as desk:
        tries = ["", "Bearer", "Bearer acme-key", "Basic open sesame", "Bearer open sesam", "Bearer OPEN SESAME"]
        refused = [await desk.client.get("/admin/journal", headers={"authorization": word}) for word in tries]
        key = {"authorization": "Bearer open sesame", "host": "mneme.example", "origin": "https://ops.example"}
        entered = await desk.client.post("/admin/journal/nudge", headers=key)

    assert {(r.status_code, r.json()["error"]["code"]) for r in refused} == {(401, "invalid_api_key")}
    assert entered.status_code == 202


async def test_an_unauthorised_body_is_not_read(tmp_path: Path) -> None:
    """The door comes before the body: a stranger cannot make the gateway hold anything."""
    async with open_desk(tmp_path, admin_key="open sesame", body_limit=1000) as desk:
        refused = await desk.client.post("/admin/forget/verify", content=b"x" * 5000)
        key = {"authorization": "Bearer open sesame"}
        large = await desk.client.post("/admin/forget/verify", content=b"x" * 5000, headers=key)

    assert (refused.status_code, large.status_code) == (401, 413)


@pytest.mark.parametrize(
    "body", [b"{", b"\xff\xfe", b'{"text": "\\ud800"}', b"[" * 2000 + b"]" * 2000, b"[]", b"3", b""]
)
async def test_a_bad_body_is_the_callers_to_mend(desk: Desk, user: str, body: bytes) -> None:
    """Whatever is sent in place of JSON is a 400 in OpenAI's words."""
    whose = {"tenant": "acme", "user": user}
    kind = {"content-type": "application/json"}
    refused = await desk.client.post("/admin/memories", params=whose, content=body, headers=kind)

    assert (refused.status_code, refused.json()["error"]["type"]) == (400, "invalid_request_error")
