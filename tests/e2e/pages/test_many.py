"""A user with a hundred thousand memories: the page stands, and search answers, as fast as with ten."""

import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from statistics import median
from urllib.parse import urlencode

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser

from gateway.evals.speed.made import Maker, questions, stock
from tests.support.browser import needs_chromium, open_tab
from tests.support.gateway import running_gateway, spawned_gateway

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.slow,
    pytest.mark.timeout(900),
    needs_chromium,
]

MANY, SEED, LOOKS = 100_000, 7, 9
NOBODY = "http://127.0.0.1:9/v1"
# The goals are 300 and 150 ms on an idle machine. Here others may be at work, so only an outright miss is a failure.
FIRST_PAINT, SEARCH = 900.0, 450.0


_PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"


@dataclass(frozen=True)
class Full:
    """A gateway that holds this much for one user."""

    url: str
    whose: Mapping[str, str]

    @property
    def page(self) -> str:
        """The address of the user's memories."""
        return f"{self.url}/admin/ui/memories?{urlencode(self.whose)}"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def full(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Full]:
    """Filled by the store itself, for embedding so many takes a quarter of an hour; served by a process of its own, and
    asked once, so that the user has a graph."""
    data = tmp_path_factory.mktemp("many")
    async with running_gateway(data, NOBODY, drain_seconds=1.0) as filling:
        said = stock(MANY, SEED)
        maker = Maker.of(said, await filling.services.embedder.embed(said), 1, SEED)
        for entries in maker.make(MANY):
            await filling.services.memories.put(entries)
        whose = {"tenant": maker.scope(0).tenant, "user": maker.scope(0).user}
        async with filling.client(timeout=60) as client:
            await client.get("/admin/search", params={**whose, "q": "bees"})
        await filling.services.memories.settled()
    async with spawned_gateway(data, upstream=NOBODY, recall_deadline="2") as serving:
        async with httpx.AsyncClient(timeout=60) as client:
            await client.get(f"{serving.url}/admin/search", params={**whose, "q": "honey"})
        yield Full(serving.url, whose)


async def test_the_first_paint_is_quick(full: Full, browser: Browser) -> None:
    """First contentful paint, the median of some looks."""
    paints = []
    for _ in range(LOOKS):
        async with open_tab(browser) as tab:
            await tab.go(full.page)
            while (painted := await tab.page.evaluate(_PAINTED)) is None:
                await tab.page.wait_for_timeout(20)
            paints.append(painted)
    print(f"first paint: median {median(paints):.0f} ms of {MANY:,} memories, goal 300")

    assert median(paints) < FIRST_PAINT


async def test_search_is_quick(full: Full, browser: Browser) -> None:
    """From the request, once one stops typing, to what was found standing on the page; the median of some questions."""
    took, asked = [], questions(SEED)
    async with open_tab(browser) as tab:
        await tab.go(full.page)
        await tab.page.evaluate(
            """() => { addEventListener('htmx:beforeRequest', () => { window.began = performance.now(); });
            addEventListener('htmx:afterSettle', () => { window.took = performance.now() - window.began; }); }"""
        )
        for _ in range(LOOKS):
            await tab.page.evaluate("window.took = null")
            await tab.page.fill("#q", next(asked))
            while await tab.page.evaluate("window.took") is None:  # Playwright's own waiting would need eval
                await tab.page.wait_for_timeout(20)
            took.append(await tab.page.evaluate("window.took"))
    print(f"search: median {median(took):.0f} ms in {MANY:,} memories, goal 150")

    assert median(took) < SEARCH


async def test_paging_stays_quick_far_down(full: Full) -> None:
    """The fortieth page costs what the first one does, give or take the machine."""
    pages: list[float] = []
    async with httpx.AsyncClient(base_url=full.url, timeout=60) as client:
        cursor = None
        for _ in range(40):
            began = time.perf_counter()
            asked = {**full.whose, "order": "latest", **({"cursor": cursor} if cursor else {})}
            told = (await client.get("/admin/memories", params=asked)).json()
            pages.append(time.perf_counter() - began)
            cursor = told["cursor"]

    assert median(pages[-10:]) < 3 * median(pages[:10]) + 0.05
