"""What a gateway logs: a line per request if that is wanted, ids on every line, and never a text, a key or a user."""

import io
import json
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from gateway.logs import STYLES
from gateway.memory.policies.verbatim import Verbatim
from gateway.memory.records import Candidate, Hit
from tests.integration.test_disconnect import event
from tests.support.gateway import Running, running_gateway, spawned_gateway
from tests.support.raw import CHAT, Headers, Response, ask
from tests.support.upstream import JSON, SSE, Reply, Upstream, scripted_upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

TRACE = "0af7651916cd43dd8448eb211c80319c"
KEYS = {"keys": "canarykey:acme,canarysolo:solo:single-user", "admin_key": "canaryadmin"}
WHO: Headers = (
    (b"authorization", b"Bearer canarykey"),
    (b"x-mneme-user", b"canaryuser"),
    (b"x-mneme-session", b"canarysession"),
    (b"traceparent", f"00-{TRACE}-b7ad6b7169203331-01".encode()),
    *JSON,
)
ADMIN: Headers = ((b"authorization", b"Bearer canaryadmin"), *JSON)
END = b"data: [DONE]\n\n"


class Quoting(Verbatim):
    """A policy with a bug, of the kind whose message holds what it choked on."""

    def rank(self, asked: str, candidates: Sequence[Candidate], now: float) -> list[Hit]:
        raise ValueError(f"cannot rank {asked!r}")


@contextmanager
def written(style: str) -> Iterator[io.StringIO]:
    """Everything that this process logs, at DEBUG, as a gateway would write it."""
    root, page = logging.getLogger(), io.StringIO()
    handler, level = logging.StreamHandler(page), root.level
    handler.setFormatter(STYLES[style]())
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield page
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


@dataclass(frozen=True)
class House:
    """A worker, and a gateway that logs every request."""

    worker: Upstream
    gateway: Running

    async def say(self, text: str, *, headers: Headers = WHO, **fields: Any) -> Response:
        """One streamed turn."""
        self.worker.reply(Reply(headers=SSE, chunks=(event("canaryreply"), END)))
        body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": text}], **fields}
        return await ask(self.gateway.port, b"POST", CHAT, orjson.dumps(body), headers)

    def policy(self, name: str, policy: Any) -> None:
        """Another one in the place of a policy."""
        policies = self.gateway.services.policies
        assert isinstance(policies, dict)
        policies[name] = policy


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """One for this file."""
    data = tmp_path_factory.mktemp("data")
    async with scripted_upstream() as worker, running_gateway(data, worker.url, access_log=True, **KEYS) as gateway:
        yield House(worker, gateway)


async def misfortunes(house: House) -> None:
    """All that may go wrong, said by somebody whose every word is a canary."""
    port = house.gateway.port
    await house.say("canary text one")
    await house.gateway.indexed()
    await house.say("canary text two", headers=((b"authorization", b"Bearer canarysolo"), *JSON))
    house.policy("adaptive", Quoting())
    await house.say("canary text three", memory={"policy": "adaptive"})
    house.worker.reply(Reply(raw=b"canary no http", drop=True))
    await ask(port, b"POST", CHAT, b'{"messages":[{"role":"user","content":"canary"}]}', WHO)
    await ask(port, b"POST", CHAT, b'{"canary": not json', WHO)
    await ask(port, b"POST", CHAT, b"{}", ((b"authorization", b"Bearer canarywrong"), *JSON))
    await ask(port, b"POST", b"/v1/canarypath?canary=1", b"{}", WHO)
    note = b'{"text": "canary note"}'
    await ask(port, b"POST", b"/admin/memories?tenant=acme&user=canaryuser", note, ADMIN)
    await ask(port, b"GET", b"/admin/memories?tenant=acme&user=canaryuser", b"", ADMIN)
    await ask(port, b"GET", b"/admin/memories/canaryid?tenant=acme&user=canaryuser", b"", ADMIN)
    await ask(port, b"POST", b"/admin/memories?tenant=acme", b'{"canary": 1}', ADMIN)
    await ask(port, b"POST", b"/admin/forget?tenant=acme&user=canaryuser", b"", ADMIN)


@pytest.mark.parametrize("style", STYLES)
async def test_no_line_holds_a_text_a_key_or_a_user(house: House, style: str) -> None:
    """At DEBUG, with every library's lines, through everything that goes wrong."""
    with written(style) as page:
        await misfortunes(house)
        log = logging.getLogger("gateway.test")
        log.warning("this line is written")

    assert "this line is written" in page.getvalue()
    assert "recall broke" in page.getvalue()
    assert [line for line in page.getvalue().splitlines() if "canary" in line.lower()] == []


def lines(page: io.StringIO, event: str) -> list[dict[str, Any]]:
    """The lines that say this."""
    return [line for line in map(json.loads, page.getvalue().splitlines()) if line["event"] == event]


async def test_a_request_ends_with_a_line(house: House) -> None:
    """Who asked for what, how it ended, how long it took, and by which ids it is found elsewhere."""
    with written("json") as page:
        await house.say("canary text")

    (line,) = lines(page, "request")
    assert len(line.pop("request")) == 32
    assert 0 < line.pop("ms") < 60_000
    assert {name: value for name, value in line.items() if name not in ("time", "level", "logger", "event")} == {
        "trace": TRACE,
        "tenant": "acme",
        "method": "POST",
        "route": "/v1/chat/completions",
        "status": 200,
        "whole": True,
    }


async def test_every_line_of_a_request_has_its_ids(house: House) -> None:
    """Also one from deep inside; and the id is that of the answer's trace."""
    house.policy("adaptive", Quoting())
    with written("json") as page:
        answer = await house.say("canary text that nobody said before", memory={"policy": "adaptive"})

    (broke,), (ended,) = lines(page, "recall broke"), lines(page, "request")
    assert (broke["request"], broke["trace"], broke["tenant"]) == (ended["request"], TRACE, "acme")
    assert answer.header(b"x-mneme-trace") == broke["request"].encode()
    assert "ValueError" in broke["error"]


async def test_admin_routes_are_told_by_their_template(house: House) -> None:
    """An id in the path stays out; what is asked for by machines all the time has no line."""
    port = house.gateway.port
    with written("json") as page:
        await ask(port, b"GET", b"/admin/memories/0?tenant=acme&user=canaryuser", b"", ADMIN)
        await ask(port, b"GET", b"/nowhere", b"", ADMIN)
        await ask(port, b"GET", b"/health/live", b"", ())
        await ask(port, b"GET", b"/metrics", b"", ())

    told = [(line["route"], line["status"]) for line in lines(page, "request")]
    assert told == [("/admin/memories/{id}", 404), ("/*", 404)]


@pytest.mark.slow
async def test_the_command_writes_json(tmp_path: Path) -> None:
    """MNEME_LOG=json and MNEME_ACCESS_LOG, on stderr of the real process."""
    page = tmp_path / "log"
    with page.open("wb") as stderr:
        async with spawned_gateway(tmp_path / "data", log="json", access_log="true", stderr=stderr) as gateway:
            await ask(int(gateway.url.rpartition(":")[2]), b"GET", b"/v1/models")

    told = [json.loads(line) for line in page.read_text().splitlines()]
    assert [(line["route"], line["status"]) for line in told if line["event"] == "request"] == [("/v1/models", 200)]
