"""`mneme memories` under its keys, in front of a real gateway: what each key shows and changes."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.errors import BadRequest, Turned
from gateway.terminal.browser import Browser
from gateway.terminal.client import Admin, asking
from gateway.terminal.lines import printed
from gateway.terminal.shelf import Which, open_shelf
from tests.support.admin import Desk, open_desk

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """The desk of this file."""
    async with open_desk(tmp_path_factory.mktemp("data")) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(desk: Desk) -> AsyncIterator[Admin]:
    """Its /admin, as the commands ask it."""
    async with asking(desk.gateway.url, "") as asked:
        yield asked


@pytest.fixture
def user(request: pytest.FixtureRequest) -> str:
    """A user whom no other test knows."""
    return str(request.node.name)


async def opened(admin: Admin, user: str, **which: str) -> Browser:
    """The latest memories of a user."""
    browser = Browser(await open_shelf(admin, Which("acme", user, **which)))
    await browser.search("")
    return browser


def shown(browser: Browser, rows: int = 12, room: int = 100) -> list[str]:
    """The screen, line by line."""
    return printed(browser.lines(rows, room)).split("\n")


async def press(browser: Browser, *keys: str) -> list[str]:
    """The screen after these keys."""
    for key in keys:
        await browser.press(key)
    return shown(browser)


async def test_the_latest_come_first(desk: Desk, admin: Admin, user: str) -> None:
    """With what they are; the head counts them, the foot tells the keys."""
    await desk.note(user, "An old one.", at="2020-01-01")
    await desk.note(user, "A new one.", at="2021-01-01", pinned=True)
    screen = shown(await opened(admin, user))

    assert screen[0].endswith("latest first  1 of 2")
    assert screen[1] == "2021-01-01 00:00  note        (pinned) A new one."
    assert screen[2] == "2020-01-01 00:00  note        An old one."
    assert "q quits" in screen[-1] and len(screen) == 12


async def test_walking_on_brings_more(desk: Desk, admin: Admin, user: str) -> None:
    """Page after page, to the very first, with what is current on the screen."""
    for number in range(60):
        await desk.note(user, f"Note {number}.", at=1_600_000_000.0 + number)
    browser = await opened(admin, user)
    first, down, last = shown(browser), await press(browser, "j", "down", "k"), await press(browser, "G")
    up = await press(browser, "page up", "g")

    assert "1 of 50+" in first[0] and "2 of 50+" in down[0]
    assert "60 of 60" in last[0] and last[-2].endswith("Note 0.")
    assert "1 of 60" in up[0] and up[1].endswith("Note 59.")


async def test_one_is_shown_at_length(desk: Desk, admin: Admin, user: str) -> None:
    """What it says, the turn it rests on, what it said before; Escape leads back."""
    await desk.chat(user, "My sister keeps bees in Riga.", session=f"s-{user}")
    (memory,) = (await desk.get("/memories", user=user))["items"]
    await admin.patch(f"/memories/{memory['id']}", {"text": "Her bees are in Oslo."}, 1, tenant="acme", user=user)
    browser = await opened(admin, user)
    await browser.press("enter")
    screen = shown(browser, rows=40)
    back = await press(browser, "j", "escape")

    assert screen[1] == "Her bees are in Oslo."
    assert "  User: My sister keeps bees in Riga." in screen
    assert "  Assistant: Thank you for telling me." in screen
    assert screen[screen.index("What it said before") + 2] == "  My sister keeps bees in Riga."
    assert "1 of 1" in back[0]


async def test_archived_and_undone(desk: Desk, admin: Admin, user: str) -> None:
    """It is recalled no more until that is undone; undoing means the last one, wherever one stands."""
    kept = await desk.note(user, "Keeps bees.", at="2021-01-01")
    await desk.note(user, "Sails.", at="2020-01-01")
    browser = await opened(admin, user)
    archived = await press(browser, "a")
    status = (await desk.get(f"/memories/{kept['id']}", user=user))["status"]
    again = await press(browser, "a")
    undone = await press(browser, "j", "u")
    nothing = await press(browser, "u")

    assert "(archived) Keeps bees." in archived[1] and status == "archived"
    assert "archived already" in again[-1]
    assert "(archived)" not in undone[1] and "recalled again" in undone[-1]
    assert (await desk.get(f"/memories/{kept['id']}", user=user))["status"] == "active"
    assert "nothing to undo" in nothing[-1]


async def test_what_was_archived_earlier_can_be_restored(desk: Desk, admin: Admin, user: str) -> None:
    """By u on it, in a list of such."""
    memory = await desk.note(user, "Keeps bees.")
    await admin.patch(f"/memories/{memory['id']}", {"status": "archived"}, 1, tenant="acme", user=user)
    browser = await opened(admin, user, status="archived")
    await press(browser, "u")

    assert (await desk.get(f"/memories/{memory['id']}", user=user))["status"] == "active"


async def test_a_question_is_asked(desk: Desk, admin: Admin, user: str) -> None:
    """Typed, mended, and answered best first with scores; an empty one shows the latest, Escape changes nothing."""
    await desk.note(user, "My sister keeps bees in Riga.")
    await desk.note(user, "The car is red.")
    browser = await opened(admin, user)
    typing = await press(browser, "/", *"beesx", "backspace", "left")
    found = await press(browser, "enter")
    left = await press(browser, "/", "x", "escape")
    latest = await press(browser, "/", "enter")

    assert typing[-1].startswith("/bees▏")
    assert '"bees", best first' in found[0] and "bees in Riga" in found[1]
    assert float(found[1].split()[0]) > 0
    assert left[:-1] == found[:-1]
    assert "latest first  1 of 2" in latest[0]


async def test_nothing_to_show_is_said(admin: Admin, user: str) -> None:
    """And no key has anything to do then."""
    screen = await press(await opened(admin, user), "j", "enter", "a", "G", "x")

    assert screen[1] == "Nothing is remembered." and "none" in screen[0]


async def test_a_change_of_somebody_else_s_is_not_overwritten(desk: Desk, admin: Admin, user: str) -> None:
    """The refusal stands on the last line, and one goes on."""
    memory = await desk.note(user, "Keeps bees.")
    browser = await opened(admin, user)
    await admin.patch(f"/memories/{memory['id']}", {"text": "Keeps cats."}, 1, tenant="acme", user=user)
    screen = await press(browser, "a")

    assert "at version 2 now" in screen[-1]
    assert (await desk.get(f"/memories/{memory['id']}", user=user))["status"] == "active"
    assert not browser.left


async def test_q_quits(admin: Admin, user: str) -> None:
    """But where it is typed."""
    browser = await opened(admin, user)
    await press(browser, "/", "q")
    typed = browser.left
    await press(browser, "escape", "q")

    assert (typed, browser.left) == (False, True)


async def test_whose_has_to_be_known(desk: Desk, admin: Admin) -> None:
    """A gateway with more than its local user has no one to guess; only active memories can be searched."""
    with pytest.raises(BadRequest, match="--tenant"):
        await open_shelf(admin, Which())
    archived = await open_shelf(admin, Which("acme", "ada", status="archived"))
    with pytest.raises(BadRequest, match="--status"):
        await archived.search("bees")


async def test_who_does_not_answer_is_named() -> None:
    """Nobody there, another program, no URL."""
    async with asking("http://127.0.0.1:1", "") as nobody:
        with pytest.raises(Turned, match="does not answer"):
            await nobody.get("/me")
    with pytest.raises(Turned, match=r"no URL|does not answer"):
        async with asking("http://[", "") as nowhere:
            await nowhere.get("/me")
