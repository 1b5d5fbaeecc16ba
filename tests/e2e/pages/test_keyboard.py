"""All of it without a mouse: Tab, Enter, Space, and the keys that the page adds."""

import pytest
from playwright.async_api import Browser, Page

from tests.support.browser import needs_chromium, open_tab
from tests.support.gateway import Running

pytestmark = [pytest.mark.asyncio(loop_scope="session"), needs_chromium]


async def focused(page: Page) -> str:
    """What has the focus, as somebody would hear it."""
    told: str = await page.evaluate(
        "(document.activeElement.innerText || document.activeElement.name || document.activeElement.id || '').trim()"
    )
    return told


async def tab_to(page: Page, text: str, most: int = 80) -> None:
    """Press Tab until this has the focus."""
    for _ in range(most):
        await page.keyboard.press("Tab")
        if text in await focused(page):
            return
    raise AssertionError(f"Tab does not reach {text!r}")


async def test_the_first_tab_leads_past_the_navigation(house: Running, browser: Browser) -> None:
    """The first link is the one to the content."""
    async with open_tab(browser) as tab:
        await tab.go(f"{house.url}/admin/ui/conversations")
        await tab.page.keyboard.press("Tab")
        first = await focused(tab.page)
        await tab.page.keyboard.press("Enter")
        where = await tab.page.evaluate("document.activeElement.id")

    assert first == "To the content"
    assert where == "main"


async def test_every_view_is_reached_by_tab(house: Running, browser: Browser) -> None:
    """From the first page, each name in the navigation has its turn, in order."""
    async with open_tab(browser) as tab:
        await tab.go(f"{house.url}/admin/ui/conversations")
        for name in ("Memories", "Conversations", "Playground", "Health", "Policies", "Access"):
            await tab_to(tab.page, name, most=4)


async def test_slash_searches_and_keys_walk_and_enter_opens(house: Running, browser: Browser) -> None:
    """Find a memory and look at it with letters alone."""
    async with open_tab(browser) as tab:
        await tab.go(f"{house.url}/admin/ui/memories")
        await tab.page.keyboard.press("/")
        await tab.page.keyboard.type("thunder")
        await tab.page.locator("#list li:first-child a.text", has_text="thunder").wait_for()
        await tab.page.wait_for_timeout(300)  # nothing more comes after the last letter
        await tab.page.keyboard.press("ArrowDown")
        await tab.page.keyboard.press("j")
        await tab.page.keyboard.press("k")
        on = await focused(tab.page)
        async with tab.page.expect_navigation():
            await tab.page.keyboard.press("Enter")
        title = await tab.page.locator("h1").inner_text()

    assert "thunder" in on
    assert title == on


async def test_a_memory_is_forgotten_and_that_undone_by_keyboard(house: Running, browser: Browser) -> None:
    """Tick, act, confirm, go there, undo: Tab, Space and Enter suffice, and the question takes the focus."""
    async with open_tab(browser) as tab:
        await tab.go(f"{house.url}/admin/ui/memories?q=Tallinn")
        await tab_to(tab.page, "the ticked ones")
        await tab_to(tab.page, "id", most=3)
        await tab.page.keyboard.press("Space")
        await tab.page.keyboard.press("Shift+Tab")
        await tab.page.keyboard.press("Enter")
        await tab.page.get_by_role("alertdialog").wait_for()
        asked = await focused(tab.page)
        await tab.page.keyboard.press("Enter")
        await tab.page.locator(".notice.good").wait_for()
        await tab.go(f"{house.url}/admin/ui/memories?status=archived")
        await tab_to(tab.page, "Tallinn")
        async with tab.page.expect_navigation():
            await tab.page.keyboard.press("Enter")
        await tab_to(tab.page, "Undo forgetting")
        async with tab.page.expect_navigation():
            await tab.page.keyboard.press("Enter")
        said = await tab.page.locator(".notice").first.inner_text()

    assert asked.startswith("Forget")
    assert "recalled again" in said
