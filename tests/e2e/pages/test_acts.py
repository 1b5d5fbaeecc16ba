"""What operators do, in a real browser: keys and watches; and a page that lives under their hands."""

import pytest
from playwright.async_api import Browser

from tests.support.browser import needs_chromium, open_tab
from tests.support.gateway import Running

pytestmark = [pytest.mark.asyncio(loop_scope="session"), needs_chromium]


async def test_a_secret_is_shown_once(house: Running, browser: Browser) -> None:
    """Issue a key: its secret stands on the answer's page, in no address, and on no later page."""
    async with open_tab(browser) as tab:
        page = tab.page
        await tab.go(f"{house.url}/admin/ui/access")
        await page.get_by_text("Issue a key").click()
        await page.get_by_label("Label").fill("for a robot")
        async with page.expect_navigation():
            await page.get_by_role("button", name="Issue").click()
        secret = await page.locator("input[readonly]").input_value()
        address = page.url
        await tab.go(f"{house.url}/admin/ui/access")
        later = await page.content()

    assert secret.startswith("mn-")
    assert secret not in address
    assert "for a robot" in later
    assert secret not in later


async def test_a_watch_is_added_and_deleted(house: Running, browser: Browser) -> None:
    """On the user's page of watches."""
    async with open_tab(browser) as tab:
        page = tab.page
        await tab.go(f"{house.url}/admin/ui/watches")
        await page.get_by_label("Have them told of").fill("when the bees swarm")
        async with page.expect_navigation():
            await page.get_by_role("button", name="Watch for it").click()
        added = await page.locator("main").inner_text()
        async with page.expect_navigation():
            await page.get_by_role("button", name="Watch no more").first.click()
        gone = await page.locator("main").inner_text()

    assert "when the bees swarm" in added
    assert "when the bees swarm" not in gone


async def test_health_lives_without_moving_what_one_is_at(house: Running, browser: Browser) -> None:
    """Over some looks: focus and scroll stay, charts stand, and numbers go on."""
    async with open_tab(browser) as tab:
        page = tab.page
        await tab.go(f"{house.url}/admin/ui/health")
        await page.locator(".uplot").first.wait_for()
        charts = await page.locator(".uplot").count()
        await page.get_by_role("button", name="Wake the writer").focus()
        await page.evaluate("scrollTo(0, 400)")
        before = await page.evaluate("document.querySelector('main').innerText")
        await page.wait_for_timeout(7000)  # a beat, and some looks
        after = await page.evaluate("document.querySelector('main').innerText")
        focus = await page.evaluate("document.activeElement.innerText")
        scrolled = await page.evaluate("scrollY")
        stand = await page.locator(".uplot").count()

    assert before != after
    assert (focus, scrolled, stand) == ("Wake the writer", 400, charts)
    assert charts == 9
