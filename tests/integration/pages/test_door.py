"""Who may look, and what a browser may do with what it gets: keys, roles, forms of others, headers."""

import asyncio
import html
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import pytest_asyncio

from gateway.pages import cookie
from gateway.tenants.ring import MOMENT
from tests.support.admin import Desk, open_desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

ADMIN = "open sesame"
UI = "/admin/ui"
ADA = {"tenant": "acme", "user": "ada"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """A gateway whose admin API wants a key; one memory is in it."""
    async with open_desk(tmp_path_factory.mktemp("data"), admin_key=ADMIN) as desk:
        desk.client.headers["authorization"] = f"Bearer {ADMIN}"
        await desk.note("ada", "Ada keeps bees.")
        yield desk


@asynccontextmanager
async def browsing(desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    """A browser as far as cookies go."""
    async with httpx.AsyncClient(base_url=desk.gateway.url) as client:
        yield client


def word(page: httpx.Response) -> str:
    """What the page's forms must send along."""
    found = re.search(r'x-mneme-word&#34;: &#34;(\w+)|x-mneme-word": "(\w+)', page.text)
    assert found, page.text[:500]
    return found[1] or found[2]


async def enter(client: httpx.AsyncClient, key: str) -> httpx.Response:
    """Log in; what the form answered."""
    form = await client.get(f"{UI}/login")
    return await client.post(f"{UI}/login", data={"word": word(form), "key": key, "next": f"{UI}/memories"})


async def role_key(desk: Desk, role: str) -> str:
    """An issued admin key of this role."""
    made = await desk.client.post("/admin/keys", json={"kind": "admin", "role": role})
    assert made.status_code == 201, made.text
    return str(made.json()["secret"])


async def test_without_a_key_every_page_leads_to_the_login(guarded: Desk) -> None:
    """And back to where one was going."""
    async with browsing(guarded) as client:
        answer = await client.get(f"{UI}/memories", params=ADA)

    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"{UI}/login?next=%2Fadmin%2Fui%2Fmemories%3Ftenant%3Dacme")
    assert "bees" not in answer.text


async def test_a_key_opens_the_pages(guarded: Desk) -> None:
    """After the login the page shows what the API would tell."""
    async with browsing(guarded) as client:
        entered = await enter(client, ADMIN)
        page = await client.get(f"{UI}/memories", params=ADA)

    assert (entered.status_code, entered.headers["location"]) == (303, f"{UI}/memories")
    assert "Ada keeps bees." in page.text


async def test_the_cookie_is_out_of_reach(guarded: Desk) -> None:
    """Not for scripts, not for other sites, not for /admin itself, and the key cannot be read from it."""
    async with browsing(guarded) as client:
        entered = await enter(client, ADMIN)
    carried = entered.headers["set-cookie"]

    assert all(flag in carried for flag in ("HttpOnly", "SameSite=strict", f"Path={UI}"))
    assert ADMIN not in carried


async def test_the_cookie_is_only_for_tls_where_there_is_tls(guarded: Desk) -> None:
    """Behind a proxy that says so, it is marked Secure."""
    async with browsing(guarded) as client:
        form = await client.get(f"{UI}/login", headers={"x-forwarded-proto": "https"})

    assert "Secure" in form.headers["set-cookie"]


async def test_the_cookie_opens_nothing_but_the_pages(guarded: Desk) -> None:
    """Sent to the API by hand, it is no key: so no other site's request to the API can use it either."""
    async with browsing(guarded) as client:
        await enter(client, ADMIN)
        carried = f"{cookie.NAME}={client.cookies[cookie.NAME]}"
        answer = await client.get("/admin/memories", params=ADA, headers={"cookie": carried})

    assert answer.status_code == 401


@pytest.mark.parametrize("key", ["wrong", "", "pässwörd", "a\r\nb"])
async def test_a_wrong_key_is_refused_with_words(guarded: Desk, key: str) -> None:
    """The form again, with what is wrong; nothing is carried that opens anything."""
    async with browsing(guarded) as client:
        entered = await enter(client, key)
        page = await client.get(f"{UI}/memories")

    assert entered.status_code in (400, 401)
    assert 'role="alert"' in entered.text
    assert page.status_code == 303


async def test_a_revoked_key_ends_the_visit(guarded: Desk) -> None:
    """The key is looked up anew: within two seconds the pages are closed."""
    made = (await guarded.client.post("/admin/keys", json={"kind": "admin", "role": "read"})).json()
    async with browsing(guarded) as client:
        await enter(client, made["secret"])
        before = await client.get(f"{UI}/policies")
        await guarded.client.delete(f"/admin/keys/{made['key']['id']}")
        await asyncio.sleep(MOMENT + 0.1)
        after = await client.get(f"{UI}/policies")

    assert (before.status_code, after.status_code) == (200, 303)


@pytest.mark.parametrize("path", ["/note", "/bulk", "/forget", "/memory", "/logout", "/login"])
async def test_a_form_of_somebody_else_is_refused(guarded: Desk, path: str) -> None:
    """Without the word that only our pages know, or sent from another site, nothing is done."""
    async with browsing(guarded) as client:
        await enter(client, ADMIN)
        page = await client.get(f"{UI}/policies")
        fields = {"text": "x", "confirm": "ada", "act": "delete", "key": ADMIN}
        bare = await client.post(UI + path, params=ADA, data=fields)
        guessed = await client.post(UI + path, params=ADA, data={**fields, "word": "0" * 64})
        foreign = await client.post(
            UI + path, params=ADA, data={**fields, "word": word(page)}, headers={"sec-fetch-site": "cross-site"}
        )
        there = await client.get(f"{UI}/memories", params=ADA)

    assert [answer.status_code for answer in (bare, guessed, foreign)] == [403, 403, 403]
    assert "Ada keeps bees." in there.text


async def test_the_word_of_one_browser_is_none_for_another(guarded: Desk) -> None:
    """It is bound to the cookie."""
    async with browsing(guarded) as one, browsing(guarded) as other:
        await enter(one, ADMIN)
        await enter(other, ADMIN)
        stolen = word(await one.get(f"{UI}/policies"))
        answer = await other.post(f"{UI}/note", params=ADA, data={"word": stolen, "text": "x"})

    assert answer.status_code == 403


async def test_a_reader_sees_and_changes_nothing(guarded: Desk) -> None:
    """The acts are not offered, the page says why, and sent by hand they are refused as the API refuses them."""
    async with browsing(guarded) as client:
        await enter(client, await role_key(guarded, "read"))
        page = await client.get(f"{UI}/memories", params=ADA)
        kept = await client.post(f"{UI}/note", params=ADA, data={"word": word(page), "text": "Mine."})
        forgot = await client.post(f"{UI}/forget", params=ADA, data={"word": word(page), "confirm": "ada"})
        out = await client.get(f"{UI}/export", params=ADA)

    assert "Ada keeps bees." in page.text
    assert "Keep the note" not in page.text
    assert "Your role (read) looks and changes nothing." in page.text
    assert [kept.status_code, forgot.status_code, out.status_code] == [403, 403, 403]
    assert "needs an admin key with the role write" in html.unescape(kept.text)


async def test_acts_stand_in_the_audit_log_under_the_key(guarded: Desk) -> None:
    """As if the API had been asked with that key, for it was."""
    secret = await role_key(guarded, "write")
    async with browsing(guarded) as client:
        await enter(client, secret)
        page = await client.get(f"{UI}/memories", params=ADA)
        await client.post(f"{UI}/note", params=ADA, data={"word": word(page), "text": "Likes tea."})
    latest = (await guarded.client.get("/admin/audit", params={"tenant": "acme"})).json()["items"][0]

    assert (latest["what"], latest["role"], latest["user"]) == ("POST /admin/memories", "write", "ada")


async def test_an_export_is_the_apis_own(guarded: Desk) -> None:
    """Byte for byte what /admin/export streams."""
    async with browsing(guarded) as client:
        await enter(client, ADMIN)
        page = await client.get(f"{UI}/export", params=ADA)
    api = await guarded.client.get("/admin/export", params=ADA)

    assert (page.status_code, page.content) == (200, api.content)
    assert page.headers["content-type"] == "application/x-ndjson"


@pytest.mark.parametrize("path", ["/login", "/memories", "/static/page.js", "/export"])
async def test_every_answer_says_what_a_browser_may_do(guarded: Desk, path: str) -> None:
    """Nothing inline, nothing from elsewhere, no frame, no guessing of types, no address to tell others."""
    async with browsing(guarded) as client:
        await enter(client, ADMIN)
        answer = await client.get(UI + path, params=ADA)
    policy = answer.headers["content-security-policy"]

    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


async def test_a_look_at_the_head_alone_is_a_look(guarded: Desk) -> None:
    """HEAD is answered as GET, without the page."""
    async with browsing(guarded) as client:
        await enter(client, ADMIN)
        answer = await client.head(f"{UI}/policies")

    assert (answer.status_code, answer.content) == (200, b"")


async def test_a_part_about_nobody_asks_whom_it_is_about(guarded: Desk) -> None:
    """As the page does, when a search goes on after the user's name was taken away."""
    async with browsing(guarded) as client:
        await enter(client, ADMIN)
        answer = await client.get(f"{UI}/memories", params={"tenant": "acme"}, headers={"hx-request": "true"})

    assert (answer.status_code, "Whose memory?" in answer.text) == (200, True)


async def test_pages_are_not_kept_by_the_browser(guarded: Desk) -> None:
    """What is remembered does not stay in a cache after the log-out."""
    async with browsing(guarded) as client:
        await enter(client, ADMIN)
        page = await client.get(f"{UI}/memories", params=ADA)

    assert page.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "next_", ["https://evil.invalid/", "//evil.invalid/", "/admin/ui/\\evil.invalid", "/elsewhere", "javascript:x"]
)
async def test_the_login_leads_nowhere_else(guarded: Desk, next_: str) -> None:
    """Only among the pages."""
    async with browsing(guarded) as client:
        form = await client.get(f"{UI}/login")
        entered = await client.post(f"{UI}/login", data={"word": word(form), "key": ADMIN, "next": next_})

    assert entered.headers["location"] == f"{UI}/memories"


async def test_a_log_out_closes_the_pages(guarded: Desk) -> None:
    """The browser carries no key any more."""
    async with browsing(guarded) as client:
        await enter(client, ADMIN)
        page = await client.get(f"{UI}/policies")
        await client.post(f"{UI}/logout", data={"word": word(page)})
        after = await client.get(f"{UI}/policies")

    assert after.status_code == 303


async def test_a_page_of_another_name_is_refused(desk: Desk) -> None:
    """Without a key only this machine looks, asked for as localhost: DNS rebinding finds nothing."""
    async with browsing(desk) as client:
        answer = await client.get(f"{UI}/memories", headers={"host": "evil.invalid"})

    assert answer.status_code == 403
    assert "MNEME_ADMIN_KEY" in answer.text


async def test_a_form_too_large_is_refused(guarded: Desk) -> None:
    """With its reason, and nothing held."""
    async with browsing(guarded) as client:
        page = await client.get(f"{UI}/login")
        answer = await client.post(f"{UI}/login", data={"word": word(page), "key": "x" * 300_000})

    assert answer.status_code == 413
