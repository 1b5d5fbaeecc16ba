"""/admin/ui/reflections and /admin/ui/watches: what thinking changed, taken back; what a user is to be told of."""

import asyncio
import re
from collections.abc import AsyncIterator
from html import unescape

import httpx
import pytest
import pytest_asyncio

from tests.support.admin import Desk, open_desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

UI = "/admin/ui"
FACT = "My sister Ada <b>keeps</b> bees\u202e in Riga."


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """A desk that thinks about every turn at once, without a model."""
    async with open_desk(tmp_path_factory.mktemp("data"), policy="exprag", reflect_turns=1) as opened:
        yield opened


@pytest.fixture
def user(request: pytest.FixtureRequest) -> str:
    """A user whom no other test knows."""
    return str(request.node.name)


async def see(desk: Desk, path: str, user: str, **query: str) -> str:
    """A page about a user, that is there."""
    told = await desk.client.get(f"{UI}{path}", params={"tenant": "acme", "user": user, **query})
    assert told.status_code == 200, told.text
    return told.text


async def send(desk: Desk, path: str, user: str, **fields: str) -> httpx.Response:
    """A form of ours about a user."""
    word = re.search(r'name="word" value="(\w+)"', await see(desk, "/watches", user))
    assert word is not None
    whose = {"tenant": "acme", "user": user, **({"id": fields.pop("reflection")} if "reflection" in fields else {})}
    return await desk.client.post(f"{UI}{path}", params=whose, data={"word": word[1], **fields})


async def thought(desk: Desk, user: str) -> str:
    """The id of the reflection about something that the user said."""
    await desk.chat(user, FACT, session=user)
    async with asyncio.timeout(20):
        while True:
            for reflection in await reflections(desk, user):
                if reflection["state"] == "applied":
                    return reflection["id"]
            await asyncio.sleep(0.05)


async def reflections(desk: Desk, user: str) -> list[dict[str, str]]:
    """A user's, latest first."""
    items: list[dict[str, str]] = (await desk.get("/reflections", user=user))["items"]
    return items


async def test_reflections_are_listed(desk: Desk, user: str) -> None:
    """With policy, state and how much they changed; by policy and state, where that is asked for."""
    id = await thought(desk, user)
    page = await see(desk, "/reflections", user)
    others = await see(desk, "/reflections", user, state="failed")

    assert f"id={id}" in page and ">applied</span>" in page
    assert "Nothing matches" in others and id not in others


async def test_one_is_shown_and_taken_back(desk: Desk, user: str) -> None:
    """The memory that it made, as text; once undone the memory is gone, and there is no more to undo."""
    id = await thought(desk, user)
    page = await see(desk, "/reflection", user, id=id)
    sent = await send(desk, "/reflection", user, reflection=id)
    after = (await desk.client.get(unescape(sent.headers["location"]))).text

    assert "&lt;b&gt;keeps&lt;/b&gt; bees⟨U+202E⟩ in Riga." in page and "Undo this reflection" in page
    assert sent.status_code == 303
    assert "Taken back" in after and "Undo this reflection" not in after
    assert [one["state"] for one in await reflections(desk, user)] == ["undone"]
    assert (await send(desk, "/reflection", user, reflection=id)).status_code == 409


async def test_who_said_nothing_has_none(desk: Desk, user: str) -> None:
    """The page says why; one that there is not is a page that says so."""
    page = await see(desk, "/reflections", user)
    gone = await desk.client.get(f"{UI}/reflection", params={"tenant": "acme", "user": user, "id": "../../forget"})

    assert "Nothing was thought about yet" in page
    assert gone.status_code == 404


async def test_nobody_chosen_is_asked_for(desk: Desk) -> None:
    """Both pages let one choose."""
    pages = [(await desk.client.get(f"{UI}{path}")).text for path in ("/reflections", "/watches")]

    assert ["Whose memory?" in page for page in pages] == [True, True]


async def test_a_watch_is_set_and_taken_away(desk: Desk, user: str) -> None:
    """It is listed as waiting until then; an empty page says what a watch is."""
    empty = await see(desk, "/watches", user)
    await send(desk, "/watches", user, act="add", text="the <i>move</i>\u202e is set")
    page = await see(desk, "/watches", user)
    id = re.search(r'name="id" value="([^"]+)"', page)
    assert id is not None
    sent = await send(desk, "/watches", user, act="delete", id=id[1])

    assert "Nothing is watched for" in empty
    assert "the &lt;i&gt;move&lt;/i&gt;⟨U+202E⟩ is set" in page and ">waiting</span>" in page
    assert sent.status_code == 303
    assert (await desk.get("/watches", user=user))["items"] == []


async def test_what_is_no_act_is_refused(desk: Desk, user: str) -> None:
    """And so is a watch for nothing, by the API."""
    sent = [await send(desk, "/watches", user, act=act) for act in ("forget", "add", "delete")]

    assert [answer.status_code for answer in sent] == [400, 400, 400]


async def test_who_only_looks_changes_nothing(desk: Desk, user: str) -> None:
    """There is no form, and a line that says why."""
    id = await thought(desk, user)
    secret = (await desk.issue("admin", role="read"))["secret"]
    whose = {"tenant": "acme", "user": user}
    async with httpx.AsyncClient(base_url=desk.gateway.url, timeout=60) as browser:
        word = re.search(r'name="word" value="(\w+)"', (await browser.get(f"{UI}/login")).text)
        assert word is not None
        await browser.post(f"{UI}/login", data={"word": word[1], "key": secret})
        one = (await browser.get(f"{UI}/reflection", params={**whose, "id": id})).text
        watches = (await browser.get(f"{UI}/watches", params=whose)).text

    assert "Undo this reflection" not in one and "that takes the role write" in one
    assert "Watch for it" not in watches and "looks and changes nothing" in watches
