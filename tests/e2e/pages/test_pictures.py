"""The README's pictures are what pages look like: each view is drawn, and kept where MNEME_PICTURES names a folder."""

import os
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page

from tests.support.browser import needs_chromium, open_tab
from tests.support.gateway import Running

pytestmark = [pytest.mark.asyncio(loop_scope="session"), needs_chromium]

KEPT = os.environ.get("MNEME_PICTURES", "")


async def as_it_is(page: Page) -> None:
    """Nothing more than what was opened."""


async def opened(page: Page) -> None:
    """The first explanation, open."""
    await page.locator("main summary").first.click()


async def asked(page: Page) -> None:
    """A question in the playground, under two policies."""
    await page.get_by_label("adaptive", exact=True).check()
    await page.fill("#message", "Where does Ada keep her bees?")
    await page.locator("#prompts section").nth(1).wait_for()


PICTURES = {
    "memories": ("/memories?q=bees+and+honey", as_it_is),
    "conversation": ("/conversations?session=asking", opened),
    "playground": ("/playground", asked),
    "health": ("/health", as_it_is),
    "policies": ("/policies", as_it_is),
    "access": ("/access", as_it_is),
}


@pytest.mark.parametrize("name", PICTURES)
async def test_a_picture_is_taken(house: Running, browser: Browser, tmp_path: Path, name: str) -> None:
    """As wide as a page of the README shows it; the README shows each one that is kept."""
    path, prepare = PICTURES[name]
    folder = Path(KEPT) if KEPT else tmp_path
    folder.mkdir(parents=True, exist_ok=True)
    async with open_tab(browser) as tab:
        await tab.go(f"{house.url}/admin/ui{path}")
        await prepare(tab.page)
        await tab.page.wait_for_timeout(500)  # charts are drawn
        await tab.page.screenshot(path=folder / f"{name}.png")
    readme = (Path(__file__).parents[3] / "README.md").read_text()

    assert (folder / f"{name}.png").stat().st_size > 10_000
    assert f"docs/pictures/{name}.png" in readme
