"""Three replicas behind one gateway, over real sockets: who is asked, and who instead."""

import asyncio
import math
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio

from tests.integration.test_splice import ANSWER
from tests.integration.workers.conftest import NEAR, known, models, told
from tests.support.gateway import Running, running_gateway
from tests.support.puppet import Puppet, puppet_worker, read_head
from tests.support.raw import CHAT, KEY, OFF, Response, ask, chat, request, wire
from tests.support.upstream import SSE, Reply, Upstream, scripted_upstream
from tests.support.workers import REPORT

pytestmark = pytest.mark.asyncio(loop_scope="module")

HANGING = Reply(headers=SSE, chunks=(b"data: {}\n\n",), hang=True)
FAILED = Reply(503, chunks=(b'{"error":"busy"}',))
SHORTEST_REST = 0.5
"""Seconds that a breaker rests at least."""


def session(name: int | str) -> tuple[bytes, bytes]:
    """The header that names a session."""
    return b"x-mneme-session", str(name).encode()


@dataclass(frozen=True)
class Crew:
    """Replicas, and the gateway in front of them."""

    replicas: list[Upstream]
    gateway: Running

    @property
    def port(self) -> int:
        """Where the gateway listens."""
        return self.gateway.port

    @property
    def heard(self) -> list[int]:
        """How many requests each replica got."""
        return [len(replica.received) for replica in self.replicas]

    async def home(self, name: int | str) -> Upstream:
        """The replica of a session; it has heard nothing afterwards."""
        await chat(self.port, "Where are you?", session(name), OFF)
        (home,) = [replica for replica in self.replicas if replica.received]
        home.received.clear()
        return home

    def heal(self) -> None:
        """Nothing is held against anybody."""
        for worker in self.gateway.services.fleet.workers:
            worker.standing.breaker.succeed()
            worker.standing.draining = False

    def others(self, one: Upstream) -> list[Upstream]:
        """All but this one."""
        return [replica for replica in self.replicas if replica is not one]

    async def drain(self, replica: Upstream, drain: bool = True) -> httpx.Response:
        """Have a replica drained, or not any more."""
        async with self.gateway.client() as client:
            return await client.post("/admin/workers/drain", json={"url": replica.url, "drain": drain})

    async def state(self, replica: Upstream) -> dict[str, Any]:
        """How a replica is listed."""
        async with self.gateway.client() as client:
            listed = (await client.get("/admin/workers")).json()["workers"]
        (card,) = [card for card in listed if card["url"] == replica.url]
        return dict(card)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Crew]:
    """The crew of this file."""
    async with AsyncExitStack() as stack:
        replicas = [await stack.enter_async_context(scripted_upstream()) for _ in range(3)]
        for replica in replicas:
            replica.models = models(NEAR)
        urls = ", ".join(replica.url for replica in replicas)
        opening = running_gateway(tmp_path_factory.mktemp("data"), urls, drain_seconds=1.0)
        gateway = await stack.enter_async_context(opening)
        await known(gateway)
        yield Crew(replicas, gateway)


@pytest.fixture
def crew(opened: Crew) -> Crew:
    """The crew, rested: nobody has heard anything, and nothing is held against anybody."""
    for replica in opened.replicas:
        replica.replies.clear()
        replica.received.clear()
        replica.default = ANSWER
    opened.heal()
    return opened


async def test_all_turns_of_a_session_go_to_the_same_replica(crew: Crew) -> None:
    """With memory on and off, however they are said; and sessions are spread over all of them."""
    homes = Counter[str]()
    for name in range(24):
        for extra in ((), (OFF,)):
            await chat(crew.port, "Hello", session(name), *extra)
        told = {replica.url: len(replica.received) for replica in crew.replicas if replica.received}
        assert list(told.values()) == [2]
        homes.update(told.keys())
        for replica in crew.replicas:
            replica.received.clear()

    assert len(homes) == 3


async def test_a_history_that_is_sent_again_finds_its_replica(crew: Crew) -> None:
    """Without any session: by what the user said first."""
    first = {"role": "user", "content": "My boat is called Ida."}
    longer = [first, {"role": "assistant", "content": "Noted."}, {"role": "user", "content": "What is it called?"}]
    for messages in ([first], longer, [{"role": "system", "content": "Today is Monday."}, *longer]):
        await ask(crew.port, b"POST", CHAT, orjson.dumps({"model": "near", "messages": messages}))

    assert sorted(crew.heard) == [0, 0, 3]


async def test_what_has_memory_off_passes_byte_for_byte(crew: Crew) -> None:
    """However many replicas there are: no header is added, no byte is changed."""
    body = b'{ "messages" : [ {"role":"user","content":"Hi"} ],"model":"near" , "odd":1.0}'
    headers = (KEY, OFF, (b"content-type", b"application/json"), (b"x-session-id", b"theirs"))
    await ask(crew.port, b"POST", CHAT, body, headers)

    (received,) = [received for replica in crew.replicas for received in replica.received]
    assert received.body == body
    names = {name for name, _ in received.headers}
    assert names == {b"host", b"content-type", b"content-length", b"x-session-id"}


async def test_other_requests_go_to_any_replica(crew: Crew) -> None:
    """They belong to no conversation."""
    for _ in range(30):
        await ask(
            crew.port, b"POST", b"/v1/embeddings", b'{"input":"x"}', (KEY, (b"content-type", b"application/json"))
        )

    assert sum(crew.heard) == 30
    assert all(crew.heard)


async def test_a_dead_replica_among_three_costs_no_answer(tmp_path: Path) -> None:
    """Nobody has noticed yet that it is gone: whoever is sent there is sent on."""
    async with scripted_upstream() as one, scripted_upstream() as two, AsyncExitStack() as dying:
        three = await dying.enter_async_context(scripted_upstream())
        for replica in (one, two, three):
            replica.models, replica.default = models(NEAR), ANSWER
        async with running_gateway(tmp_path, ",".join((one.url, three.url, two.url))) as gateway:
            await known(gateway)
            before = [await chat(gateway.port, "Hello", session(name)) for name in range(12)]
            reached = len(three.received)
            await dying.aclose()
            after = [await chat(gateway.port, "Hello", session(name)) for name in range(12)]
            async with gateway.client() as client:
                metrics = (await client.get("/metrics")).text

    assert reached
    assert {answer.status for answer in (*before, *after)} == {200}
    assert len(one.received) + len(two.received) == 24 - reached
    assert f'mneme_worker_failovers_total{{worker="{three.url}"}} 0.0' not in metrics
    assert f'mneme_worker_state{{state="unreachable",worker="{three.url}"}} 1.0' in metrics


async def test_one_replica_that_answers_is_enough_to_be_ready(tmp_path: Path) -> None:
    """A silent one is not waited for; without any the gateway is down."""
    async with (
        scripted_upstream() as one,
        scripted_upstream() as two,
        running_gateway(tmp_path, f"{one.url},{two.url}") as gateway,
        gateway.client() as client,
    ):
        one.models = two.models = Reply(503)
        down = await client.get("/health/ready")
        one.models, two.models = HANGING, models(NEAR)
        ready = await client.get("/health/ready")

    assert (down.status_code, ready.status_code, ready.json()["status"]) == (503, 200, "ok")


async def test_an_upload_goes_elsewhere_while_nothing_of_it_was_read(tmp_path: Path) -> None:
    """A body that is not held is not begun before there is a connection."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        async with scripted_upstream() as live, running_gateway(tmp_path, f"{dead},{live.url}") as gateway:
            workers = gateway.services.fleet.workers
            workers[0].reachable, workers[1].standing.running = True, 1000
            answer = await ask(gateway.port, b"POST", b"/v1/files", b"x" * 500_000)

    assert (answer.status, len(live.received[0].body), workers[0].standing.failovers) == (200, 500_000, 1)


async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read a head and what comes with it, and go."""
    await read_head(reader)
    await reader.read(1000)


async def cut_within_the_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Begin to answer, and go."""
    await read_head(reader)
    writer.write(b"HTTP/1.1 200 O")
    await writer.drain()


@dataclass(frozen=True)
class Pair:
    """A puppet and a replica, of which the puppet is asked first."""

    puppet: Puppet
    replica: Upstream
    gateway: Running

    @property
    def port(self) -> int:
        """Where the gateway listens."""
        return self.gateway.port

    @property
    def sent_on(self) -> int:
        """How many requests went from the puppet to the replica."""
        return sum(worker.standing.failovers for worker in self.gateway.services.fleet.workers)


@pytest_asyncio.fixture(loop_scope="module")
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    """The pair."""
    async with puppet_worker() as puppet, scripted_upstream() as replica:
        replica.models, replica.default = models(NEAR), ANSWER
        async with running_gateway(tmp_path, f"{puppet.url},{replica.url}") as gateway:
            await known(gateway)
            (busy,) = [worker for worker in gateway.services.fleet.workers if worker.url == replica.url]
            busy.standing.running = 1000
            for worker in gateway.services.fleet.workers:
                worker.cards = {"m": {"id": "m"}}
            yield Pair(puppet, replica, gateway)


async def test_a_request_that_was_not_wholly_sent_goes_to_another_replica(pair: Pair) -> None:
    """A body of many megabytes, and the worker closes while it comes: it cannot have acted on it."""
    await pair.puppet.play(cut)
    answer = await chat(pair.port, "x" * (24 << 20), OFF)

    assert (answer.status, len(pair.replica.received), pair.sent_on) == (200, 1, 1)


@pytest.mark.parametrize("act", [cut, cut_within_the_head])
async def test_a_request_that_may_have_been_acted_on_is_asked_once(pair: Pair, act: Any) -> None:
    """The worker had all of it, or had begun to answer: nobody else is asked, and the caller is told."""
    await pair.puppet.play(act)
    answer = await chat(pair.port, "Hello", OFF)

    assert (answer.status, orjson.loads(answer.body)["error"]["code"]) == (502, "upstream_broke")
    assert (pair.replica.received, pair.sent_on) == ([], 0)


async def test_an_answer_that_breaks_off_is_not_asked_for_again(crew: Crew) -> None:
    """Its first byte has gone to the client."""
    home = await crew.home("s")
    home.reply(Reply(headers=SSE, chunks=(b"data: 1\n\n", b"data: 2\n\n"), drop=True))
    answer = await chat(crew.port, "Hello", session("s"), OFF, stream=True)

    assert (answer.status, b"data: 2" in answer.body, b"upstream_broke" in answer.body) == (200, True, True)
    assert sum(crew.heard) == 1


async def test_a_replica_s_own_refusal_is_the_answer(crew: Crew) -> None:
    """A 503 came from somebody who had the whole question."""
    home = await crew.home("s")
    home.reply(FAILED)
    answer = await chat(crew.port, "Hello", session("s"), OFF)

    assert (answer.status, answer.body, sum(crew.heard)) == (503, FAILED.chunks[0], 1)


async def test_a_replica_that_fails_again_and_again_is_passed_over(crew: Crew) -> None:
    """After five in a row its sessions go to the next one, as long as the breaker rests; then one of them probes."""
    home, took = await crew.home("s"), math.inf
    while took > SHORTEST_REST:  # on a machine so busy that the rest was over before anybody looked, once more
        crew.heal()
        home.default = FAILED
        refused = [(await chat(crew.port, "Hello", session("s"), OFF)).status for _ in range(5)]
        began = time.monotonic()
        answered = [(await chat(crew.port, "Hello", session("s"), OFF)).status for _ in range(3)]
        state = (await crew.state(home))["state"]
        took = time.monotonic() - began
    home.default = ANSWER
    async with asyncio.timeout(10):
        while (await crew.state(home))["state"] != "half-open":
            await asyncio.sleep(0.05)
    home.received.clear()
    await chat(crew.port, "Hello", session("s"), OFF)

    assert (refused, answered, state) == ([503] * 5, [200] * 3, "open")
    assert (len(home.received), (await crew.state(home))["state"]) == (1, "ready")


async def test_a_replica_that_drains_gets_nothing_new_and_ends_what_runs(crew: Crew) -> None:
    """Its sessions come back when it does."""
    home = await crew.home("s")
    home.reply(Reply(headers=SSE, chunks=(b"data: 1\n\n", b"data: 2\n\n"), pause=0.3))
    body = orjson.dumps({"model": "near", "messages": [{"role": "user", "content": "x"}], "stream": True})
    async with wire(crew.port) as client:
        await client.send(request(b"POST", CHAT, body, (KEY, OFF, session("s"))))
        await client.reader.readuntil(b"data: 1")
        drained = await crew.drain(home)
        away = await chat(crew.port, "Hello", session("s"), OFF)
        rest = await client.reader.readuntil(b"0\r\n\r\n")
    back = await crew.drain(home, drain=False)
    await chat(crew.port, "Hello", session("s"), OFF)

    card = drained.json()
    assert (card["state"], card["in_flight"], back.json()["state"]) == ("draining", 1, "ready")
    assert (away.status, b"data: 2" in rest) == (200, True)
    assert (len(home.received), sum(crew.heard)) == (2, 3)


async def test_only_a_worker_that_is_there_can_be_drained(crew: Crew) -> None:
    """404 for any other URL."""
    async with crew.gateway.client() as client:
        answer = await client.post("/admin/workers/drain", json={"url": "http://nobody/v1"})

    assert (answer.status_code, answer.json()["error"]["param"]) == (404, "url")


async def test_a_crowd_at_one_replica_sends_its_next_session_on(crew: Crew) -> None:
    """Four at once are no crowd; the fifth goes to the next in rank, and home again when the crowd has gone."""
    home = await crew.home("s")
    home.default = HANGING
    body = orjson.dumps({"model": "near", "messages": [{"role": "user", "content": "x"}], "stream": True})
    async with AsyncExitStack() as stack:
        for _ in range(4):
            client = await stack.enter_async_context(wire(crew.port))
            await client.send(request(b"POST", CHAT, body, (KEY, OFF, session("s"))))
            await client.reader.readuntil(b"data:")
        crowded = len(home.received)
        fifth = await chat(crew.port, "Hello", session("s"), OFF)
        elsewhere = sum(len(replica.received) for replica in crew.others(home))
    home.default = ANSWER
    async with asyncio.timeout(5):
        while (await crew.state(home))["in_flight"]:
            await asyncio.sleep(0.02)
    await chat(crew.port, "Hello", session("s"), OFF)

    assert (crowded, fifth.status, elsewhere, len(home.received)) == (4, 200, 1, 5)


async def test_a_user_is_forgotten_at_every_replica_that_keeps_sessions(tmp_path: Path) -> None:
    """Each has files of its own; the certificate counts them all, and there is none while one has not said so."""
    async with scripted_upstream() as one, scripted_upstream() as two:
        for replica in (one, two):
            replica.models, replica.kv, replica.default = models(NEAR), told({**REPORT, "sessions": True}), ANSWER
        async with running_gateway(tmp_path, f"{one.url},{two.url}") as gateway:
            await known(gateway)
            forgotten = told({"object": "kv.forgotten", "files": 2})
            one.reply(forgotten, forgotten)
            two.reply(forgotten, Reply(503))
            async with gateway.client(params={"tenant": "local", "user": "local"}) as client:
                whole, part = [await client.post("/admin/forget") for _ in range(2)]

    assert (whole.status_code, whole.json()["erased"]["kv"], part.status_code) == (200, 4, 502)


async def test_alike_replicas_share_the_count_of_a_head(tmp_path: Path) -> None:
    """It is asked of one of them; an alias may name several too."""
    system = {"role": "system", "content": "Be brief. " * 40}
    async with scripted_upstream() as near, scripted_upstream() as one, scripted_upstream() as two:
        for replica in (one, two):
            replica.models, replica.kv, replica.default = models({**NEAR, "id": "deep"}), told(REPORT), ANSWER
            replica.tokenize = told({"count": 100, "tokens": []})
        aliases = orjson.dumps({"endless": {"url": [one.url, two.url], "policy": "sink_window"}}).decode()
        async with running_gateway(tmp_path, near.url, workers=aliases) as gateway:
            await known(gateway)
            answers: list[Response] = []
            for name in range(12):
                body = {"model": "endless", "messages": [system, {"role": "user", "content": "Hello"}]}
                answers.append(await ask(gateway.port, b"POST", CHAT, orjson.dumps(body), (KEY, session(name))))

    assert one.received and two.received
    assert {orjson.loads(r.body)["vllm_xargs"]["kv_sink"] for r in (*one.received, *two.received)} == {128}
    assert (len(one.counted) + len(two.counted), {answer.status for answer in answers}) == (1, {200})


async def test_a_router_behind_us_is_told_which_conversation_it_is(tmp_path: Path) -> None:
    """In the header that the operator names, by a digest that is the session's own; a caller's own does not pass."""
    async with scripted_upstream() as worker:
        worker.models, worker.default = models(NEAR), ANSWER
        async with running_gateway(tmp_path, worker.url, affinity_header="X-Session-Id") as gateway:
            for extra in ((session("a"),), (session("a"), (b"x-session-id", b"mine")), (session("b"), OFF)):
                await chat(gateway.port, "Hello", *extra)
            await ask(gateway.port, b"GET", b"/v1/files")

    heard = [[v for n, v in received.headers if n == b"x-session-id"] for received in worker.received]
    assert [len(values) for values in heard] == [1, 1, 1, 0]
    assert heard[0] == heard[1] != heard[2]
    assert len(bytes.fromhex(heard[0][0].decode())) == 16
