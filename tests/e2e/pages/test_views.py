"""Every view in a real browser: wide and narrow, light and dark, nothing forbidden, nothing that axe objects to."""

import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Browser, Page

from tests.support.browser import needs_chromium, open_tab
from tests.support.gateway import Running

pytestmark = [pytest.mark.asyncio(loop_scope="session"), needs_chromium]

VIEWS = {
    "memories": "/memories",
    "searched": "/memories?q=bees",
    "nothing found": "/memories?kind=watch",
    "somebody without memories": "/memories?tenant=local&user=nobody",
    "conversations": "/conversations",
    "conversation": "/conversations?session=asking",
    "no such conversation": "/conversations?session=none",
    "playground": "/playground",
    "health": "/health",
    "policies": "/policies",
    "access": "/access",
    "reflections": "/reflections",
    "watches": "/watches",
    "login": "/login",
}


async def scrolls_sideways(page: Page) -> bool:
    """Whether the page is wider than its window."""
    return bool(await page.evaluate("document.documentElement.scrollWidth > innerWidth + 1"))


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(("narrow", "dark"), [(False, False), (True, True)], ids=["wide light", "narrow dark"])
async def test_a_view_stands_on_any_screen(
    house: Running, browser: Browser, view: str, narrow: bool, dark: bool
) -> None:
    """It has a heading, does not scroll sideways, breaks no rule of accessibility, and its policy forbids nothing."""
    missing = view == "no such conversation"
    async with open_tab(browser, narrow=narrow, dark=dark) as tab:
        await tab.go(f"{house.url}/admin/ui{VIEWS[view]}")
        headings = await tab.page.locator("h1").count()
        sideways = await scrolls_sideways(tab.page)
        found = await Axe().run(tab.page)
        if missing:  # Chromium tells of the status on the console
            tab.wrong.clear()

    assert headings == 1
    assert not sideways
    assert found.violations_count == 0, found.generate_report()


async def test_one_memory_and_the_acts_on_it_are_accessible(house: Running, browser: Browser) -> None:
    """The page of a memory, reached by a link, with its form open."""
    async with open_tab(browser) as tab:
        await tab.go(f"{house.url}/admin/ui/memories?q=honey")
        await tab.page.locator("a.text").first.click()
        await tab.page.get_by_text("Edit the text").click()
        found = await Axe().run(tab.page)

    assert found.violations_count == 0, found.generate_report()


async def test_search_finds_as_one_types(house: Running, browser: Browser) -> None:
    """No key but the letters: what is found changes, best first, with its scores, and the address with it."""
    async with open_tab(browser) as tab:
        await tab.go(f"{house.url}/admin/ui/memories")
        await tab.page.locator("#q").press_sequentially("thunder", delay=30)
        await tab.page.locator("#list li:first-child a.text", has_text="Nimbus").wait_for()
        best = await tab.page.locator(".memories .text").first.inner_text()
        score = await tab.page.locator(".memories .score").first.inner_text()
        url = tab.page.url

    assert "Nimbus" in best
    assert float(score) > 0
    assert "q=thunder" in url


async def test_the_prompt_is_shown_under_two_policies_side_by_side(house: Running, browser: Browser) -> None:
    """What the playground shows is what the API says would be sent."""
    async with open_tab(browser) as tab:
        await tab.go(f"{house.url}/admin/ui/playground")
        await tab.page.get_by_label("none", exact=True).check()
        await tab.page.fill("#message", "Where does Ada keep her bees?")
        await tab.page.locator("#prompts section").nth(1).wait_for()
        texts = await tab.page.locator("#prompts section").all_inner_texts()
        await tab.page.get_by_text("The prompt, as the worker would get it").last.click()
        sent = await tab.page.locator("#prompts pre").last.inner_text()

    assert any("Riga" in text for text in texts)
    assert any("Silent" in text for text in texts)
    assert '"content": ' in sent


async def test_an_open_page_hears_of_what_is_said(house: Running, browser: Browser) -> None:
    """Server-sent events: a new turn shows on the list of memories without a reload."""
    from tests.e2e.pages.conftest import say

    async with open_tab(browser) as tab:
        await tab.go(f"{house.url}/admin/ui/memories")
        await tab.page.wait_for_timeout(500)  # the stream has counted what was there
        await say(house, "later", "I play the cello on Sundays.")
        await tab.page.get_by_text("more memory since this page was opened").wait_for()
        await tab.page.get_by_role("link", name="Show", exact=True).click()
        first = await tab.page.locator(".memories .text").first.inner_text()

    assert first == "I play the cello on Sundays."
