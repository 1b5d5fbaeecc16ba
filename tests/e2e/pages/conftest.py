"""One gateway in front of the reader, with a user who has talked, and one Chromium, for the tests of the pages."""

import time
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.support.browser import open_browser
from tests.support.gateway import AUTH, Running, running_gateway
from tests.support.reader import MODEL, spawned_reader

SAID = (
    ("school", "I started to learn Latvian at the evening school.", 300),
    ("bees", "My sister Ada keeps bees in Riga.", 210),
    ("bees", "She harvested forty kilos of honey in August.", 95),
    ("moving", "I moved from Oslo to Tallinn in March.", 150),
    ("cat", "My cat is called Nimbus, and she hates thunder.", 60),
    ("asking", "Where does my sister keep her bees?", 0),
    ("asking", "What is my cat called?", 0),
)


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """The gateway, without a key, for its one local user."""
    with spawned_reader() as reader:
        async with running_gateway(tmp_path_factory.mktemp("shared-pages"), reader.url, drain_seconds=1.0) as running:
            for session, text, days in SAID:
                await say(running, session, text, days)
            yield running


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Chromium."""
    async with open_browser() as opened:
        yield opened


async def say(gateway: Running, session: str, text: str, days: int = 0) -> None:
    """Tell the gateway something, so many days ago, and wait until it is remembered."""
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": text}],
        "memory": {"at": time.time() - days * 86_400},
    }
    async with httpx.AsyncClient(base_url=gateway.url, timeout=30) as client:
        answer = await client.post(
            "/v1/chat/completions",
            json=body,
            headers={**AUTH, "x-mneme-session": session},
        )
    assert answer.status_code == 200, answer.text
    await gateway.indexed()
