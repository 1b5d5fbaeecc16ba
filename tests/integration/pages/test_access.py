"""/admin/ui/access: tenants, keys and the audit log, as a browser without scripts sees and changes them."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from tests.support.admin import Desk, open_desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

UI = "/admin/ui"
SECRET = re.compile(r"mn-[\w-]{43}")
NASTY = "<script>alert(1)</script>\u202e"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """The desk of this file."""
    async with open_desk(tmp_path_factory.mktemp("data")) as opened:
        yield opened


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A tenant whom no other test knows."""
    return str(request.node.name)


async def see(desk: Desk, path: str, **query: str) -> str:
    """A page that is there."""
    told = await desk.client.get(f"{UI}{path}", params=query)
    assert told.status_code == 200, told.text
    return told.text


async def send(desk: Desk, path: str, **fields: str) -> httpx.Response:
    """A form of ours, sent as a browser does that has just looked."""
    word = re.search(r'name="word" value="(\w+)"', await see(desk, "/access"))
    assert word is not None
    return await desk.client.post(f"{UI}{path}", data={"word": word[1], **fields})


@asynccontextmanager
async def logged_in(desk: Desk, role: str) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that has logged in with a key of this role."""
    secret = (await desk.issue("admin", role=role))["secret"]
    async with httpx.AsyncClient(base_url=desk.gateway.url, timeout=60) as browser:
        word = re.search(r'name="word" value="(\w+)"', (await browser.get(f"{UI}/login")).text)
        assert word is not None
        await browser.post(f"{UI}/login", data={"word": word[1], "key": secret, "next": f"{UI}/access"})
        yield browser


def row(page: str, key: str) -> str:
    """The table's row of a key."""
    return next(part for part in page.split("<tr>") if f"<code>{key[:12]}</code>" in part)


async def test_a_tenant_is_made_and_set(desk: Desk, name: str) -> None:
    """What the form says is what the API has, and the table tells it; what is left at 0 is no limit."""
    fields = {"requests_per_minute": "600", "memories_per_user": "10000", "memories_days": "365"}
    sent = await send(desk, "/access/tenant", name=name, **fields)
    (card,) = [card for card in (await desk.get("/tenants", limit=200))["items"] if card["name"] == name]
    front = await see(desk, "/access")

    assert sent.status_code == 303
    assert card["limits"] == {"requests_per_minute": 600, "tokens_per_minute": 0}
    assert card["quota"] == {"memories_per_user": 10_000, "memories": 0}
    assert card["retention"] == {"memories_days": 365, "traces_days": 0}
    assert "10\u202f000" in front
    assert 'name="memories_per_user" value="10000"' in await see(desk, "/access/tenant", name=name)


async def test_what_is_no_number_sets_nothing(desk: Desk, name: str) -> None:
    """The page says so."""
    sent = [await send(desk, "/access/tenant", name=name, memories=number) for number in ("many", "-1", "9" * 5000)]

    assert [answer.status_code for answer in sent] == [400, 400, 400]
    assert "whole numbers" in sent[0].text
    assert name not in str(await desk.get("/tenants", limit=200))


async def test_tenants_of_the_settings_are_listed(desk: Desk) -> None:
    """Beside those that were made, with what is kept of them, and without a limit."""
    page = await see(desk, "/access")

    assert "name=globex" in page and "nothing is set" in page


async def test_a_secret_is_shown_once(desk: Desk) -> None:
    """On the answer's page, to be kept by nobody; it opens /v1, and no other page, no URL and no list has it."""
    sent = await send(desk, "/access/keys", kind="per-user", of="acme", label="shop", requests_per_minute="60")
    (secret,) = set(SECRET.findall(sent.text))
    with_it = {"authorization": f"Bearer {secret}"}
    (card,) = [c for c in (await desk.get("/keys", limit=200))["items"] if c["label"] == "shop"]

    assert sent.status_code == 200 and "location" not in sent.headers
    assert sent.headers["cache-control"] == "no-store"
    assert secret not in str(sent.url)
    assert card["limits"]["requests_per_minute"] == 60 and card["tenant"] == "acme"
    assert (await desk.client.get("/v1/models", headers=with_it)).status_code != 401
    assert not SECRET.search(await see(desk, "/access") + await see(desk, "/access/audit"))


async def test_keys_are_told_apart_by_whose_they_are(desk: Desk, name: str) -> None:
    """All, one tenant's, or those for /admin; a tenant may be called admin."""
    for tenant in (name, "admin"):
        await send(desk, "/access/tenant", name=tenant)
        await send(desk, "/access/keys", kind="single-user", of=tenant, label=f"of {tenant}")
    await send(desk, "/access/keys", kind="admin", role="read", of=name, label="of nobody")
    pages = [await see(desk, "/access", of=of) for of in ("", f"of:{name}", "of:admin", "admin")]
    labels = [f"of {name}", "of admin", "of nobody"]

    shown = [[f"<bdi>{label}</bdi>" in page for label in labels] for page in pages]
    assert shown == [[True, True, True], [True, False, False], [False, True, False], [False, False, True]]


async def test_a_key_is_rotated(desk: Desk) -> None:
    """The new secret is shown; the former ends when it was chosen to, and has no more to be done to it."""
    key = (await desk.issue(label="old"))["key"]["id"]
    sent = await send(desk, "/access/rotate", id=key, overlap="0")
    ended = row(await see(desk, "/access"), key)

    assert SECRET.search(sent.text) and "ends at once" in sent.text
    assert "Rotate" not in ended and "ended" in ended


async def test_revoking_has_to_be_meant(desk: Desk) -> None:
    """Without the tick nothing is revoked; with it the list says so."""
    key = (await desk.issue(label="gone"))["key"]["id"]
    unsure = await send(desk, "/access/revoke", id=key)
    before = row(await see(desk, "/access"), key)
    sure = await send(desk, "/access/revoke", id=key, sure="true")
    after = row(await see(desk, "/access"), key)

    assert unsure.status_code == 400 and "revoked" not in before
    assert sure.status_code == 303 and "revoked" in after


async def test_the_log_tells_who_did_what(desk: Desk, name: str) -> None:
    """Latest first, page after page; what was refused stands out, and a forgotten user has no name."""
    for number in range(51):
        await desk.note(name, f"Note {number}.")
    await desk.post("/forget", user=name)
    await desk.client.put("/admin/tenants", params={"tenant": "acme"}, json={"limits": "none"})
    first = await see(desk, "/access/audit")
    older = unescape(next(link for link in re.findall(r'href="([^"]+)"', first) if "cursor=" in link))
    second = (await desk.client.get(older)).text

    assert first.index("PUT /admin/tenants") < first.index("POST /admin/forget") < first.index("POST /admin/memories")
    assert "400 refused" in first
    assert "forgotten," in first and name not in first
    assert "The latest" in second and "POST /admin/forget" not in second


async def test_nothing_that_was_written_becomes_html(desk: Desk) -> None:
    """Names, labels and users are shown as they are, with what hides in them named."""
    await send(desk, "/access/tenant", name=NASTY)
    issued = await send(desk, "/access/keys", kind="per-user", of=NASTY, label=NASTY)
    await desk.note(NASTY, "Note.")
    pages = [
        issued.text,
        await see(desk, "/access"),
        await see(desk, "/access/tenant", name=NASTY),
        await see(desk, "/access/audit"),
    ]
    for page in pages:
        assert "alert(1)" in page and "⟨U+202E⟩" in page
        assert "<script>alert" not in page


@pytest.mark.parametrize("role", ["read", "write"])
async def test_who_is_no_operator_looks_only(desk: Desk, role: str) -> None:
    """No form to change anything, a line that says why; and a form that is sent all the same is refused."""
    async with logged_in(desk, role) as browser:
        page, log = (await browser.get(f"{UI}/access")).text, await browser.get(f"{UI}/access/audit")
        tenant = await browser.get(f"{UI}/access/tenant", params={"name": "acme"})
        word = re.search(r'name="word" value="(\w+)"', page)
        assert word is not None
        sent = await browser.post(f"{UI}/access/keys", data={"word": word[1], "kind": "per-user", "of": "acme"})

    assert "Issue a key" not in page and "Rotate" not in page and "that takes an operator" in page
    assert log.status_code == 200
    assert 'name="memories"' not in tenant.text and "that takes an operator" in tenant.text
    assert sent.status_code == 403 and not SECRET.search(sent.text)


async def test_a_form_of_somebody_else_does_nothing(desk: Desk) -> None:
    """Without this browser's word."""
    sent = await desk.client.post(f"{UI}/access/keys", data={"kind": "per-user", "of": "acme", "label": "forged"})

    assert sent.status_code == 403
    assert "forged" not in str(await desk.get("/keys", limit=200))


async def test_a_new_house_says_what_to_do(tmp_path: Path) -> None:
    """No key, no act: each says so in its place; there is the local tenant alone."""
    async with open_desk(tmp_path, keys="", admin_key="front-door-key") as empty:
        headers = {"authorization": "Bearer front-door-key"}
        word = re.search(r'name="word" value="(\w+)"', (await empty.client.get(f"{UI}/login")).text)
        assert word is not None
        await empty.client.post(f"{UI}/login", data={"word": word[1], "key": "front-door-key"})
        front, log = await see(empty, "/access"), await see(empty, "/access/audit")
        held = (await empty.client.get("/admin/tenants", headers=headers)).json()["items"]

    assert held == []
    assert "name=local" in front and "nothing is set" in front
    assert "None was issued yet" in front
    assert "Nobody has changed anything yet" in log
