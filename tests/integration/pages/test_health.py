"""/admin/ui/health: numbers, dead letters and workers, as a browser sees and mends them, with scripts and without."""

import asyncio
import json
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio
from cryptography.fernet import Fernet
from starlette.responses import JSONResponse

from gateway.errors import MemoryUnavailable
from gateway.memory.records import Scope, Turn
from gateway.pages import open_pages
from gateway.pages.api import Message, Receive, Send
from gateway.pages.look import shown
from tests.integration.workers.conftest import FAR, STOCK, models, told
from tests.support.admin import Desk, open_desk
from tests.support.kv_pages import HELD
from tests.support.upstream import Reply, Upstream, scripted_upstream
from tests.support.workers import REPORT

pytestmark = pytest.mark.asyncio(loop_scope="module")

UI = "/admin/ui"
NASTY = "<script>alert(1)</script>\u202e"
BLIND = ("pending", "dead", "oldest", "due", "rss", "loop")
COUNTED = ("answers", "errors", "broke", "injected", "prompt", "cached", "turns", "indexed")
RECALLS = {"hit": 0, "silent": 0, "skipped": 0}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def far() -> AsyncIterator[Upstream]:
    """A worker under a KV policy, with requests that run."""
    async with scripted_upstream() as far:
        far.models, far.kv, far.held = models(FAR), told(REPORT), told(HELD)
        yield far


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory, far: Upstream) -> AsyncIterator[Desk]:
    """A desk before a stock worker, that one, and a name for which there is none."""
    workers = orjson.dumps({"far": {"url": far.url}, "surprised": {"policy": "surprisal"}}).decode()
    async with open_desk(tmp_path_factory.mktemp("data"), workers=workers) as opened:
        yield opened


async def see(desk: Desk, **query: str) -> str:
    """The page."""
    answer = await desk.client.get(f"{UI}/health", params=query)
    assert answer.status_code == 200, answer.text
    return answer.text


async def send(browser: httpx.AsyncClient, act: str, **fields: str) -> httpx.Response:
    """A form of ours, sent as a browser does that has just looked."""
    word = re.search(r'"x-mneme-word": "(\w+)"', unescape((await browser.get(f"{UI}/health")).text))
    assert word is not None
    return await browser.post(f"{UI}/health/{act}", data={"word": word[1], **fields})


@asynccontextmanager
async def logged_in(desk: Desk, role: str) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that has logged in with a key of this role."""
    secret = (await desk.issue("admin", role=role))["secret"]
    async with httpx.AsyncClient(base_url=desk.gateway.url, timeout=60) as browser:
        word = re.search(r'name="word" value="(\w+)"', (await browser.get(f"{UI}/login")).text)
        assert word is not None
        await browser.post(f"{UI}/login", data={"word": word[1], "key": secret, "next": f"{UI}/health"})
        yield browser


async def poison(desk: Desk, text: str = "My sister keeps bees.") -> str:
    """A dead letter: a turn that no policy can keep, because its id is no UUID. The writer may come first, and then it
    is the one that gives up."""
    journal, id = desk.gateway.services.journal, f"poison-{uuid.uuid4()}"
    turn = Turn(id, Scope("acme", f"ada{NASTY}"), "s", "c", 1_777_852_800.0, text, "reply")
    await journal.append(turn)
    (stored,) = await journal.turns(turn.scope, [id])
    async with asyncio.timeout(60):
        while id not in await dead(desk):
            await journal.claim(1000)
            await journal.fail(stored, f"it is poison {NASTY}", attempts=1, delay=0.0)
    return id


async def dead(desk: Desk) -> set[str]:
    """The turns of all dead letters."""
    return {letter["turn"]["id"] for page in await desk.pages("/journal/dead") for letter in page}


def charts(page: str) -> dict[str, dict[str, Any]]:
    """What each chart draws."""
    drawn = re.findall(r'<figure class="chart" id="(\w+)" data-chart="([^"]+)"', page)
    return {id: json.loads(unescape(chart)) for id, chart in drawn}


def part(page: str, id: str) -> str:
    """From a part of the page on."""
    return page.partition(f'id="{id}"')[2].partition("</section>")[0]


def worker(page: str, url: str) -> str:
    """The card of a worker."""
    return page.partition(f"<bdi>{url}</bdi>")[2].partition("</article>")[0]


@asynccontextmanager
async def looking(desk: Desk) -> AsyncIterator[AsyncIterator[str]]:
    """What the page is sent while somebody looks."""
    async with desk.client.stream("GET", f"{UI}/live/health") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")

        async def events() -> AsyncIterator[str]:
            kept = ""
            async for text in answer.aiter_text():
                kept += text
                while "\n\n" in kept:
                    event, _, kept = kept.partition("\n\n")
                    if event.startswith("event: health"):
                        yield event

        yield events()


async def test_what_was_answered_is_told(desk: Desk) -> None:
    """In tiles, in charts with a line of words each, in the times of the verbs, and in what is held."""
    pulse = desk.gateway.services.pulse
    await pulse.beat()
    await desk.chat("counted", "My sister Ada keeps bees in Riga.", session="s")
    await pulse.beat()
    page = await see(desk)

    assert "Ready: every part answers." in page
    assert re.search(r"<dt>Answers</dt><dd>[1-9]\d*<small>0 errors", page)
    assert set(charts(page)) >= {"lag", "oldest", "answers", "recalls", "took", "tokens", "turns", "loop", "rss"}
    assert {line["label"] for line in charts(page)["took"]["lines"]} >= {"admit", "relay", "retain"}
    assert "in use" in part(page, "rss-said") and "MB (at most" in part(page, "rss-said")
    assert re.search(r'<th scope="row">relay</th><td class="number">[1-9]', part(page, "verbs"))
    assert re.search(r">acme</bdi></a></th><td class=\"number\">[1-9]", part(page, "growth"))


async def test_a_part_that_fails_is_named(desk: Desk) -> None:
    """In words, not by its colour alone; the page stands."""
    pings = desk.gateway.services.pings
    assert isinstance(pings, dict)

    async def fails() -> None:
        raise MemoryUnavailable("nobody's business")

    healthy = pings["embedder"]
    pings["embedder"] = fails
    page = await see(desk)
    pings["embedder"] = healthy

    assert "Degraded: answers go on without embedder." in page and "embedder: failing" in page


async def test_dead_letters_are_shown_as_text(desk: Desk) -> None:
    """With whose they are, the reason and a form for each; nothing in them runs or hides."""
    id = await poison(desk, NASTY)
    (letter,) = [each for each in (await desk.get("/journal/dead"))["items"] if each["turn"]["id"] == id]
    letters = part(await see(desk), "dead")

    assert letters.count("&lt;script&gt;alert(1)&lt;/script&gt;⟨U+202E⟩") >= 2
    assert shown(letter["error"]) in unescape(letters) and f'name="id" value="{id}"' in letters
    assert "<script>" not in letters and "\u202e" not in letters


async def test_one_dead_letter_is_replayed(desk: Desk) -> None:
    """And no other; the page says how many it were."""
    id, other = await poison(desk), await poison(desk)
    sent = await send(desk.client, "replay", id=id)
    page = (await desk.client.get(sent.headers["location"])).text

    assert sent.status_code == 303
    assert {id, other} & await dead(desk) == {other}
    assert "Put back into the queue: 1." in page


async def test_all_dead_letters_are_replayed_on_the_explicit_word(desk: Desk) -> None:
    """A form that names none is no order to replay them all."""
    await poison(desk)
    nothing = await send(desk.client, "replay")
    left = len(await dead(desk))
    everything = await send(desk.client, "replay", all="true")

    assert nothing.status_code == 400 and left
    assert everything.headers["location"].endswith(f"n={left}")
    assert await dead(desk) == set()
    assert "None: every turn" in part(await see(desk), "dead")


async def test_the_writer_is_woken(desk: Desk) -> None:
    """The page says what waited; it says nothing that somebody else wrote into its address."""
    sent = await send(desk.client, "nudge")
    page = (await desk.client.get(sent.headers["location"])).text

    assert sent.status_code == 303
    assert "The writer is awake. Turns that waited: 0." in page
    assert "Turns that waited: unknown." in await see(desk, did="nudge", n=NASTY)
    assert NASTY not in await see(desk, did=NASTY, n="1")


async def test_workers_tell_what_they_are(desk: Desk, far: Upstream) -> None:
    """State, models, KV policy and knobs; and the names that lead to nobody."""
    page = await see(desk)
    stock, policed = worker(page, desk.worker.url), worker(page, far.url)

    assert "none: a stock worker" in stock and ">default<" in stock and ">ready<" in stock
    assert "far/model" in policed and "<dd>sink_window</dd>" in policed and "<dt>sink</dt><dd>32</dd>" in policed
    assert "full, sink_window" in policed and "KV blocks" not in stock
    assert "Nobody can answer for <b>surprised</b> now." in page


async def test_blocks_of_running_requests_are_told_in_numbers_too(desk: Desk, far: Upstream) -> None:
    """Each with its map; what a client calls its request is text."""
    held = {**HELD, "requests": [{**HELD["requests"][0], "id": NASTY}, HELD["requests"][1]]}
    far.held = told(held)
    page = worker(await see(desk), far.url)
    far.held = told(HELD)

    assert "190 tokens in 6 blocks, 1 pinned, 2 resident, 3 dropped" in page
    assert "33 tokens in 2 blocks, 0 pinned, 2 resident, 0 dropped" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;⟨U+202E⟩" in page and "<script>" not in page
    assert 'class="pinned" d="M0 0h1v14h-1z"' in page


async def test_a_worker_that_does_not_tell_its_blocks_is_told_of(desk: Desk, far: Upstream) -> None:
    """The rest of the page stands."""
    far.held = Reply(503)
    page = worker(await see(desk), far.url)
    far.held = told(HELD)

    assert "does not tell its KV (status 503)" in page and "sink_window" in page


async def test_a_worker_is_drained_and_taken_back(desk: Desk, far: Upstream) -> None:
    """The button turns over; what is no worker is refused by the API, in words."""
    drained = await send(desk.client, "drain", url=far.url, drain="true")
    during = worker((await desk.client.get(drained.headers["location"])).text, far.url)
    back = await send(desk.client, "drain", url=far.url, drain="false")
    after = worker((await desk.client.get(back.headers["location"])).text, far.url)
    stranger = await send(desk.client, "drain", url="http://127.0.0.1:1/v1", drain="true")

    assert (drained.status_code, back.status_code) == (303, 303)
    assert ">draining<" in during and "it gets no new requests" in during and "Have it take requests again" in during
    assert ">ready<" in after and "Drain: no new requests" in after
    assert stranger.status_code == 404 and "No worker has this URL." in stranger.text


@pytest.mark.parametrize(
    ("role", "may"), [("read", set()), ("write", {"nudge"}), ("operator", {"nudge", "replay", "drain"})]
)
async def test_each_role_sees_the_acts_that_it_may_do(desk: Desk, far: Upstream, role: str, may: set[str]) -> None:
    """No other; and the API refuses what is sent all the same."""
    await poison(desk)
    async with logged_in(desk, role) as browser:
        page = (await browser.get(f"{UI}/health")).text
        fields = {"nudge": {}, "replay": {"all": "true"}, "drain": {"url": far.url, "drain": "false"}}
        sent = {act: await send(browser, act, **fields[act]) for act in fields}

    assert {act for act in fields if f"{UI}/health/{act}" in page} == may
    assert {act for act, answer in sent.items() if answer.status_code == 303} == may
    assert {answer.status_code for act, answer in sent.items() if act not in may} <= {403}
    assert ("draining and replaying need an operator" in page) == (role != "operator")


async def test_who_looks_is_sent_what_changes_and_only_that(desk: Desk, far: Upstream) -> None:
    """First all of it, since it may have changed on the way; then parts that take the place of the former."""
    async with asyncio.timeout(60), looking(desk) as events:
        first = await anext(events)
        far.held = told({**HELD, "requests": []})
        while "No request runs there now." not in (event := await anext(events)):
            pass
        far.held = told(HELD)

    assert '<div id="ready" hx-swap-oob="innerHTML">' in first and '<data data-for="lag"' in first
    assert first.count("hx-swap-oob") == 6 + 2 * 4 + 9
    assert 'id="ready"' not in event and "unserved" not in event


async def test_a_kv_map_grows_while_somebody_looks(desk: Desk, far: Upstream) -> None:
    """A row for every look, of which the gateway keeps nothing else."""
    async with asyncio.timeout(60), looking(desk) as events:
        assert "M0 0h1v14h-1zM0 16" not in await anext(events)
        far.held = told({**HELD, "requests": [{**HELD["requests"][0], "tokens": 191}]})
        while "191 tokens" not in (event := await anext(events)):
            pass
        far.held = told(HELD)

    assert "M0 0h1v14h-1zM0 16h1v3h-1z" in event


async def test_a_worker_that_becomes_a_stock_one_has_no_map(desk: Desk, far: Upstream) -> None:
    """It is told as it is now."""
    far.kv = STOCK
    page = worker(await see(desk), far.url)
    far.kv = told(REPORT)

    assert "none: a stock worker" in page and "KV blocks" not in page


async def ill(scope: Message, receive: Receive, send: Send) -> None:
    """An API that knows who asks and how its process fares, and nothing that lies in a store."""
    beat = {**dict.fromkeys(BLIND), **dict.fromkeys(COUNTED, 0), "at": 5.0, "verbs": {}, "recalls": RECALLS}
    told: Any = {
        "/admin/me": {"who": "loopback", "role": "operator", "tenant": "", "user": ""},
        "/health/ready": {"status": "down", "parts": {"journal": "failing"}},
        "/admin/vitals": {"process": "p", "every": 5.0, "beats": [beat], "histograms": {}},
    }.get(scope["path"])
    answer = JSONResponse(told or {"error": {"message": "The store is away."}}, 200 if told else 503)
    await answer(scope, receive, send)


async def test_the_page_opens_when_nothing_else_answers() -> None:
    """What is unknown is said to be unknown, and is not 0."""
    pages = open_pages(ill, Fernet.generate_key().decode(), asyncio.Event())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(pages), base_url="http://mneme") as browser:
        page = await browser.get("/health")

    assert page.status_code == 200
    assert "Down: nothing can be answered without journal." in page.text
    assert "Memory does not answer" in page.text and "The journal does not answer" in page.text
    assert "The workers are not known right now." in page.text and "Nothing was asked yet." in page.text
    assert "<dt>Turns to be indexed</dt><dd>–" in page.text and "<dt>Dead letters</dt><dd>–" in page.text
