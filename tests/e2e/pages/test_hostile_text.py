"""Whatever is remembered is text: a corpus of what would run in a careless page, under every view."""

import pytest
from playwright.async_api import Browser

from tests.e2e.pages.conftest import say
from tests.support.browser import needs_chromium, open_tab
from tests.support.gateway import Running

pytestmark = [pytest.mark.asyncio(loop_scope="session"), needs_chromium]

SESSION = '"><script>window.hit=1</script>'
CORPUS = (
    "<script>window.hit=1</script>",
    '"><img src=x onerror="window.hit=1">',
    "'><svg/onload=window.hit=1>",
    "<iframe srcdoc='<script>parent.hit=1</script>'></iframe>",
    '<a href="javascript:window.hit=1" hx-get="/admin/ui/memories" hx-trigger="load">honey</a>',
    '<div hx-on::load="window.hit=1" hx-get="javascript:window.hit=1"></div>',
    '<form action="/admin/ui/forget" method=post><button autofocus>bees</button></form>',
    "{{ 7*7 }} {% for x in ().__class__.__mro__ %}{% endfor %} ${7*7} #{7*7}",
    "</textarea></title></style><script>window.hit=1</script>",
    "<meta http-equiv=refresh content='0;url=//evil.invalid'><base href=//evil.invalid>",
    "<style>*{display:none}</style><link rel=stylesheet href=//evil.invalid/x.css>",
    "\u202egnp.exe\u202c and \u200bnothing\u2066 to see",
    "event: grown\ndata: <script>window.hit=1</script>\n\n",
)
ASKED = "Tell me <script>window.hit=1</script> of bees and honey, javascript and textarea"


async def test_no_view_runs_or_renders_what_is_remembered(house: Running, browser: Browser) -> None:
    """Texts, session and question are told as they are: nothing of them becomes an element, an address or a request."""
    for text in CORPUS:
        await say(house, SESSION, text)
    await say(house, SESSION, ASKED)
    async with open_tab(browser) as tab:
        requests: list[str] = []
        tab.page.on("request", lambda request: requests.append(request.url))
        page, root = tab.page, f"{house.url}/admin/ui"
        for path in ("/memories", "/memories?q=script+window", "/conversations", "/health", "/access"):
            await tab.go(root + path)
            assert await page.evaluate("window.hit") is None, path
            assert await page.locator("main script, main iframe, main style, main base, main [onerror]").count() == 0
        await tab.go(f"{root}/memories?q=srcdoc")
        assert await page.get_by_text("<iframe srcdoc=").first.is_visible()
        await page.locator("a.text").first.click()
        await page.get_by_text("Edit the text").click()
        assert await page.evaluate("window.hit") is None
        await tab.go(f"{root}/conversations")
        await page.get_by_text(SESSION).click()
        await page.locator("summary").last.click()
        assert await page.evaluate("window.hit") is None
        shown = await page.locator("main").inner_text()
        await tab.go(f"{root}/playground")
        await page.fill("#message", ASKED)
        await page.locator("#prompts section").first.wait_for()
        assert await page.evaluate("window.hit") is None

    assert all(text.split("\n")[0] in shown for text in CORPUS if text.isprintable())
    assert "⟨U+202E⟩" in shown
    assert "⟨U+200B⟩" in shown
    assert [url for url in requests if not url.startswith((house.url, "data:"))] == []
