"""A real Chromium, headless, and what it must never report: errors, or something that the page's policy forbade."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (Debian's package: chromium)")
_ARGUMENTS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass
class Tab:
    """A page of a browser, and what went wrong on it."""

    page: Page
    wrong: list[str] = field(default_factory=list)

    async def go(self, url: str) -> None:
        """Open an address, and wait until it stands there."""
        await self.page.goto(url, wait_until="load")

    def heard(self, message: ConsoleMessage) -> None:
        """Remember what a console calls an error."""
        if message.type == "error":
            self.wrong.append(message.text)


@asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    """Chromium. Root has no sandbox of Chromium's to be in."""
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*_ARGUMENTS, *sandbox])
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def open_tab(browser: Browser, *, narrow: bool = False, dark: bool = False, **more: Any) -> AsyncIterator[Tab]:
    """A tab of its own; on leaving, nothing may have gone wrong on it."""
    size = {"width": 390, "height": 844} if narrow else {"width": 1280, "height": 860}
    context = await browser.new_context(viewport=size, color_scheme="dark" if dark else "light", **more)  # type: ignore[arg-type]
    try:
        page = await context.new_page()
        page.set_default_timeout(15_000)
        tab = Tab(page)
        page.on("console", tab.heard)
        page.on("pageerror", lambda error: tab.wrong.append(str(error)))
        yield tab
        assert tab.wrong == []
    finally:
        await context.close()
