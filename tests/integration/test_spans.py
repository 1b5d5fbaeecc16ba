"""Spans as a collector gets them, over real sockets all the way: what there is, under whom, and what is never in it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import orjson
import pytest
import pytest_asyncio

from tests.integration.test_disconnect import event, until
from tests.support.collector import Collector, Kept, collector
from tests.support.gateway import Running, running_gateway
from tests.support.raw import CHAT, KEY, Headers, ask, request, wire
from tests.support.upstream import JSON, SSE, Received, Reply, Upstream, scripted_upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

FACT = "My sister Ada keeps bees in Riga canarytext."
QUESTION = "Where does my sister Ada keep her bees?"
USER, SECRET = "canaryuser", "canarykey"
TOLD, ASKED, BROKEN, LEFT, REFUSED, PASSED, BAD, FORGOTTEN = (f"{i:032x}" for i in range(0xA1, 0xA9))
USAGE = {"prompt_tokens": 40, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 32}}
END = b"data: [DONE]\n\n"


def parent(trace: str) -> tuple[bytes, bytes]:
    """What a caller that keeps spans sends."""
    return (b"traceparent", f"00-{trace}-00000000000000aa-01".encode())


def who(trace: str) -> Headers:
    """A caller with a key, a user and a trace."""
    key = (b"authorization", b"Bearer " + SECRET.encode())
    return (key, (b"x-mneme-user", USER.encode()), parent(trace), *JSON)


def said(text: str) -> bytes:
    """A streamed question's body."""
    messages = [{"role": "user", "content": text}]
    return orjson.dumps({"model": "m", "stream": True, "temperature": 0.5, "max_tokens": 9, "messages": messages})


def answered() -> Reply:
    """A whole stream that tells its usage."""
    last = {"id": "c-1", "model": "m-1", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    told = b"data: " + orjson.dumps({**last, "usage": USAGE}) + b"\n\n"
    return Reply(headers=SSE, chunks=(event("canaryreply"), told, END))


@dataclass
class Seen:
    """What the collector and the worker got."""

    collector: Collector
    received: list[Received] = field(default_factory=list)
    metrics: str = ""

    def of(self, trace: str) -> dict[str, Kept]:
        """The spans of one trace, by name."""
        return {span.name: span for span in self.collector.spans if span.trace == trace}

    def chat(self, trace: str) -> Kept:
        """The question to the worker in it."""
        return self.of(trace)["chat m"]


async def play(gateway: Running, worker: Upstream) -> str:
    """One of everything that may become of a request; the metrics after it."""
    worker.reply(answered(), answered())
    await ask(gateway.port, b"POST", CHAT, said(FACT), who(TOLD))
    await gateway.indexed()
    await ask(gateway.port, b"POST", CHAT, said(QUESTION), who(ASKED))
    worker.reply(Reply(headers=SSE, chunks=(event("half"),), chunked=True, drop=True))
    await ask(gateway.port, b"POST", CHAT, said("Say half of it."), who(BROKEN))
    worker.reply(Reply(headers=SSE, chunks=(event("half"),), hang=True))
    async with wire(gateway.port) as client:
        await client.send(request(b"POST", CHAT, said("Never end."), who(LEFT)))
        await client.head()
        client.leave()
        await until(lambda: gateway.services.telemetry.running == 0)
    worker.reply(Reply(status=429))
    await ask(gateway.port, b"POST", CHAT, said("Not now."), who(REFUSED))
    await ask(gateway.port, b"POST", b"/v1/files/canaryfile?x=1", b"{}", who(PASSED))
    await ask(gateway.port, b"POST", CHAT, said("x"), (parent(BAD), *JSON))
    await gateway.indexed()
    forget = f"/admin/forget?tenant=acme&user={USER}".encode()
    await ask(gateway.port, b"POST", forget, b"", ((b"authorization", b"Bearer admin"), parent(FORGOTTEN)))
    return (await ask(gateway.port, b"GET", b"/metrics")).body.decode()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def seen(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Seen]:
    """A gateway that has lived, and stopped."""
    with collector() as kept:
        async with scripted_upstream() as worker:
            seen = Seen(kept, worker.received)
            keys = {"keys": f"{SECRET}:acme", "admin_key": "admin"}
            data = tmp_path_factory.mktemp("data")
            async with running_gateway(data, worker.url, otlp_endpoint=kept.url, **keys) as gateway:
                seen.metrics = await play(gateway, worker)
        yield seen


async def test_a_request_is_a_server_span_under_the_callers(seen: Seen) -> None:
    """In the caller's trace, with route, status, request and tenant."""
    span = seen.of(ASKED)["POST /v1/chat/completions"]

    assert (span.kind, span.parent, span.failed) == ("server", "00000000000000aa", False)
    assert span.notes.pop("mneme.request.id")
    assert span.notes == {
        "http.request.method": "POST",
        "http.route": "/v1/chat/completions",
        "http.response.status_code": 200,
        "mneme.tenant": "acme",
        "mneme.whole": True,
    }


async def test_verbs_stand_under_the_request(seen: Seen) -> None:
    """All but reflect; the question to the worker within relay, retain within that, because its end waits for it."""
    spans = seen.of(ASKED)

    under = seen.collector.under(spans["POST /v1/chat/completions"])
    assert under == {"admit", "recall", "compose", "relay"}
    assert seen.collector.under(spans["relay"]) == {"chat m"}
    assert seen.collector.under(spans["recall"]) == {"search_memory"}
    assert seen.collector.under(spans["chat m"]) == {"retain"}


async def test_the_question_to_the_worker_is_a_genai_span(seen: Seen) -> None:
    """Named and noted as the conventions say, with what the answer told."""
    span = seen.chat(ASKED)

    assert (span.kind, span.failed) == ("client", False)
    assert span.notes.pop("server.port")
    assert span.notes == {
        "server.address": "127.0.0.1",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "m",
        "gen_ai.request.stream": True,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 9,
        "gen_ai.response.id": "c-1",
        "gen_ai.response.model": "m-1",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 40,
        "gen_ai.usage.output_tokens": 7,
        "gen_ai.usage.cache_read.input_tokens": 32,
        "http.response.status_code": 200,
    }


async def test_the_worker_is_told_the_span_that_asks_it(seen: Seen) -> None:
    """One traceparent, which names the question's span, in place of the caller's."""
    asked = [received for received in seen.received if QUESTION.encode() in received.body]
    told = [value.decode() for received in asked for name, value in received.headers if name == b"traceparent"]

    assert told == [f"00-{ASKED}-{seen.chat(ASKED).id}-01"]


async def test_a_search_says_how_much_it_found(seen: Seen) -> None:
    """Nothing the first time, what was told the second time; and compose says what came of it."""
    first, second = seen.of(TOLD), seen.of(ASKED)

    assert [spans["search_memory"].notes["gen_ai.memory.record.count"] for spans in (first, second)] == [0, 1]
    assert second["search_memory"].notes["gen_ai.operation.name"] == "search_memory"
    assert [spans["compose"].notes["mneme.outcome"] for spans in (first, second)] == ["silent", "hit"]
    assert second["compose"].notes["mneme.memories"] == 1


async def test_indexing_is_a_trace_that_names_its_requests(seen: Seen) -> None:
    """`reflect` with an upsert_memory below, naming the request that told it; a look that finds nothing leaves none."""
    request = seen.of(TOLD)["POST /v1/chat/completions"].notes["mneme.request.id"]
    spans = seen.collector.named("reflect")
    (span,) = [span for span in spans if request in span.notes["mneme.request.id"]]

    assert (span.parent, span.trace == TOLD, span.notes["mneme.turns"]) == ("", False, 1)
    assert seen.collector.under(span) == {"upsert_memory"}
    assert all(span.notes["mneme.turns"] for span in spans)


async def test_forgetting_is_a_delete_of_no_record_by_name(seen: Seen) -> None:
    """Under the operator's request, whose route is the template of its path."""
    spans = seen.of(FORGOTTEN)

    assert seen.collector.under(spans["POST /admin/forget"]) == {"delete_memory"}
    assert spans["delete_memory"].notes["gen_ai.operation.name"] == "delete_memory"
    assert "gen_ai.memory.record.id" not in spans["delete_memory"].notes


async def test_an_answer_that_breaks_off_is_the_questions_error(seen: Seen) -> None:
    """Also after its head; the request itself was answered as far as that went."""
    span = seen.chat(BROKEN)

    assert (span.failed, span.notes["error.type"]) == (True, "upstream_broke")
    assert 'mneme_upstream_errors_total{kind="broke"} 1.0' in seen.metrics


async def test_a_client_that_leaves_leaves_a_span(seen: Seen) -> None:
    """The request says that its answer is not whole."""
    request, question = seen.of(LEFT)["POST /v1/chat/completions"], seen.chat(LEFT)

    assert (request.notes["mneme.whole"], request.notes["http.response.status_code"]) == (False, 200)
    assert question.notes["error.type"] == "CancelledError"


async def test_whose_fault_a_status_is(seen: Seen) -> None:
    """A refusal is an error of the question, and none of the gateway's."""
    assert (seen.chat(REFUSED).failed, seen.chat(REFUSED).notes["error.type"]) == (True, "429")
    assert seen.of(REFUSED)["POST /v1/chat/completions"].failed is False
    assert seen.of(BAD)["POST /v1/chat/completions"].notes["http.response.status_code"] == 401


async def test_a_path_that_is_only_passed_on_has_no_name(seen: Seen) -> None:
    """What follows /v1 may hold an id."""
    assert seen.of(PASSED).keys() == {"POST /v1/*", "ask"}


async def test_no_span_holds_a_text_a_user_or_a_key(seen: Seen) -> None:
    """Of all that was sent to the collector."""
    sent = b"".join(seen.collector.raw)

    assert b"acme" in sent
    assert [word for word in (b"canary", b"sister", b"bees", b"Riga") if word in sent] == []


async def test_the_resource_says_who_sends(seen: Seen) -> None:
    """Name and version of the service."""
    assert seen.collector.resources[0]["service.name"] == "mneme"


async def test_content_is_there_if_it_is_asked_for(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The history and the reply as the conventions spell them, and the memories that were written and found."""
    with collector() as kept:
        async with scripted_upstream() as worker:
            data = tmp_path_factory.mktemp("data")
            knobs = {"keys": f"{SECRET}:acme", "otlp_endpoint": kept.url, "otlp_content": True}
            async with running_gateway(data, worker.url, **knobs) as gateway:
                worker.reply(answered(), answered())
                await ask(gateway.port, b"POST", CHAT, said(FACT), who(TOLD))
                await gateway.indexed()
                await ask(gateway.port, b"POST", CHAT, said(QUESTION), who(ASKED))
    (question,) = [span for span in kept.named("chat m") if span.trace == ASKED]
    (search,) = [span for span in kept.named("search_memory") if span.trace == ASKED]

    part = {"type": "text", "content": QUESTION}
    assert orjson.loads(question.notes["gen_ai.input.messages"]) == [{"role": "user", "parts": [part]}]
    assert orjson.loads(question.notes["gen_ai.output.messages"]) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "canaryreply"}], "finish_reason": "stop"}
    ]
    assert [record["content"] for record in orjson.loads(search.notes["gen_ai.memory.records"])] == [FACT]
    assert FACT in kept.named("upsert_memory")[0].notes["gen_ai.memory.records"]


async def test_a_collector_that_is_away_costs_nothing_else(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The answer comes, and the gateway stops."""
    async with scripted_upstream() as worker:
        data = tmp_path_factory.mktemp("data")
        async with running_gateway(data, worker.url, otlp_endpoint="http://127.0.0.1:9") as gateway:
            worker.reply(answered())
            answer = await ask(gateway.port, b"POST", CHAT, said(FACT))

    assert (answer.status, answer.body.endswith(END)) == (200, True)


async def test_without_a_collector_the_callers_trace_goes_on(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Byte for byte, as any other header."""
    data = tmp_path_factory.mktemp("data")
    async with scripted_upstream() as worker, running_gateway(data, worker.url) as gateway:
        worker.reply(answered())
        await ask(gateway.port, b"POST", CHAT, said(FACT), (KEY, *JSON, parent(TOLD)))

    assert worker.received[0].header(b"traceparent") == parent(TOLD)[1]
