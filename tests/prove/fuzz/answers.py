"""What a worker may say that no worker should: any status, any bytes, cut anywhere. Knows no request but three."""

from dataclasses import dataclass
from functools import partial

import orjson
from hypothesis import strategies as st

from tests.prove.fuzz.found import Found, Part
from tests.prove.fuzz.line import blame
from tests.prove.fuzz.subject import Subject
from tests.support.raw import CHAT, Response
from tests.support.upstream import JSON, Reply

Pair = tuple[bytes, bytes]
_BODILESS = (204, 304)
_STATUSES = (
    200,
    200,
    200,
    200,
    201,
    204,
    206,
    301,
    304,
    400,
    401,
    404,
    413,
    418,
    422,
    429,
    499,
    500,
    502,
    503,
    504,
    599,
)
_TYPES = (
    b"text/event-stream",
    b"text/event-stream; charset=utf-8",
    b"application/json",
    b"text/html",
    b"\xff/\x80",
    b"",
)
_PAIRS: tuple[Pair, ...] = (
    (b"retry-after", b"never"),
    (b"set-cookie", b"a=b"),
    (b"set-cookie", b"c=\xff"),
    (b"connection", b"close, x-gone"),
    (b"x-gone", b"1"),
    (b"x-mneme-mode", b"forged"),
    (b"x-ratelimit-remaining-requests", b"-1"),
    (b"content-encoding", b"gzip"),
    (b"server", b"\xe2\x80\xae"),
    (b"x-long", b"y" * 9000),
)
_EVENTS = (
    b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"Noted"}}]}\n\n',
    b'data: {"choices":[{"index":1,"delta":{"tool_calls":[{"index":0,"function":{"name":"f"}}]}}]}\r\n\r\n',
    b'data: {"choices":[{"index":-1,"delta":{"tool_calls":[{"index":[],"id":{},"function":[]}]}}],"usage":[]}\n\n',
    b'data: {"choices":[{"index":99999999999999999999,"delta":"x","finish_reason":[]}]}\n\n',
    b'data: {"choices":{"0":{}},"model":7,"id":null}\n\n',
    b'data: {"choices":[{"index":0,"delta":{"content":"\\ud800"}}]}\n\n',
    b'data: {"error":{"message":"worn out","code":500}}\n\n',
    b'data:{"choices":[]}\ndata: [DONE]\n\n',
    b"event: x\nid: \x00\nretry: 0\n\n",
    b": a comment\n\n",
    b"data: [DONE]\n\n",
    b"data: [DONE]",
    b"data: [DO",
    b"data\n\n",
    b"\xef\xbb\xbfdata: NaN\n\n",
    b"data: " + b"[" * 3000 + b"\n\n",
    b"\r\r\n\n",
    b"\xff\x00",
)
_WHOLES = (
    b'{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"Noted."},"finish_reason":"stop"}]}',
    b'{"choices":[{"index":"0","message":{"content":["a"],"tool_calls":{"a":1}},"finish_reason":{}}],"usage":"much"}',
    b'{"choices":[{"message":null},7,[],{"message":{"content":"\\ud800"}}]}',
    b'{"choices":[{"message":{"content":"\xff"}}]}',
    b'{"error":null}',
    b'{"choices":[{"message":{"content":"a","content":"b","tool_calls":[null,{"function":"x"}]}}]}',
    b'{"usage":{"prompt_tokens":1e999,"completion_tokens":-1,"total_tokens":"x"},"model":{},"choices":[]}',
    b"[" * 100_000,
    b"null",
    b"",
    b"<html>502</html>",
)
_LINES = (
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 200\r\n",
    b"HTTP/1.0 200 OK\r\n",
    b"HTTP/1.1 099 X\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 101 Switching\r\nupgrade: x\r\n",
    b"HTTP/1.1 999 X\r\n",
    b"HTTP/2 200\r\n",
    b"ICY 200 OK\r\n",
    b"garbage\r\n",
    b"",
)
_FIELDS = (
    b"content-length: 5\r\n",
    b"content-length: 500\r\n",
    b"content-length: -5\r\n",
    b"content-length: 5\r\ncontent-length: 6\r\n",
    b"transfer-encoding: chunked\r\n",
    b"transfer-encoding: gzip, chunked\r\n",
    b"content-type: text/event-stream\r\n",
    b"content-type: application/json\r\n",
    b"x-nul: a\x00b\r\n",
    b"x-fold: a\r\n b\r\n",
    b": nameless\r\n",
    b"x-huge: " + b"z" * 70_000 + b"\r\n",
    b"no colon\r\n",
)
_RESTS = (
    b"hello",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"5\r\nhel",
    b"zz\r\n",
    b"",
    b"0\r\nx-trailer: 1\r\n\r\n",
    b"h" * 300_000,
)


@dataclass(frozen=True)
class Exchange:
    """A question and the worker's reply. `sound`: the reply is HTTP and whole, so its client gets it as it is."""

    target: bytes
    streamed: bool
    headers: tuple[Pair, ...]
    reply: Reply
    sound: bool


@dataclass(frozen=True)
class Errand:
    """What the worker says of itself when the gateway asks by itself."""

    models: Reply
    kv: Reply
    tokenize: Reply


def answers(subject: Subject) -> Part[Exchange]:
    """Whatever the worker answers: passed on if it is an answer, and otherwise told as what it is."""
    return Part("answers", _exchanges(), partial(_exchange, subject))


def errands(subject: Subject) -> Part[Errand]:
    """Whatever the worker tells of itself: the gateway and its operator's page live with it."""
    return Part("errands", st.builds(Errand, _replies(), _replies(), _replies()), partial(_errand, subject))


def _exchange(subject: Subject, case: Exchange) -> None:
    subject.script(case.reply)
    body = orjson.dumps(
        {"model": "m", "stream": case.streamed, "messages": [{"role": "user", "content": "I keep bees in Riga."}]}
    )
    ask = subject.insist if case.sound else subject.ask
    answer = ask(b"POST", case.target, body, (subject.bearer, *JSON, *case.headers))
    if case.sound:
        if (answer.status, answer.body, answer.whole) != (case.reply.status, _body(case.reply), True):
            blame(case, [answer.status], answer.body)
            raise Found("other", f"an answer that is not the worker's: {answer!r}\nfor {case!r}")
    elif answer.status >= 500 and not _is_workers_fault(answer, case.reply):
        blame(case, [answer.status], answer.body)


def _errand(subject: Subject, errand: Errand) -> None:
    subject.worker.models, subject.worker.kv, subject.worker.tokenize = errand.models, errand.kv, errand.tokenize
    admin = () if subject.admin is None else ((b"authorization", subject.admin.encode()),)
    told = subject.ask(b"GET", b"/admin/workers", headers=admin)
    blame(errand, [told.status], told.body)
    said = subject.insist(
        b"POST", CHAT, b'{"model":"m","messages":[{"role":"user","content":"x"}]}', (subject.bearer, *JSON)
    )
    blame(errand, [said.status], said.body)


def _is_workers_fault(answer: Response, reply: Reply) -> bool:
    """Whether a 5xx is the worker's own, or says that the worker broke."""
    if answer.status in (502, 504) and b'"type":"upstream_error"' in answer.body:
        return True
    return answer.status == reply.status and not reply.raw


def _body(reply: Reply) -> bytes:
    return b"".join(reply.chunks)


@st.composite
def _pieces(draw: st.DrawFn) -> tuple[bytes, ...]:
    """A body, in pieces that end anywhere."""
    some = st.lists(st.sampled_from(_EVENTS) | st.binary(max_size=20), max_size=6).map(b"".join)
    body = draw(some | st.sampled_from(_WHOLES))
    places = sorted(draw(st.lists(st.integers(0, len(body)), max_size=4)))
    found = [body[a:b] for a, b in zip([0, *places], [*places, len(body)], strict=True) if a < b]
    return tuple(found) or (b"",)


@st.composite
def _spoken(draw: st.DrawFn) -> Reply:
    """HTTP, whole unless it is dropped."""
    pieces = draw(_pieces())
    pairs = [(b"content-type", kind) for kind in draw(st.lists(st.sampled_from(_TYPES), max_size=1))]
    pairs += draw(st.lists(st.sampled_from(_PAIRS), max_size=3))
    chunked = len(pieces) > 1 or (draw(st.booleans()) and pieces != (b"",))
    drop = draw(st.sampled_from((False, False, True)))
    return Reply(draw(st.sampled_from(_STATUSES)), tuple(pairs), pieces, chunked=chunked, drop=drop)


@st.composite
def _shouted(draw: st.DrawFn) -> Reply:
    """Bytes that are nearly an answer; the connection is dropped after them, or stays."""
    fields = b"".join(draw(st.lists(st.sampled_from(_FIELDS), max_size=3)))
    raw = draw(st.sampled_from(_LINES)) + fields + b"\r\n" + draw(st.sampled_from(_RESTS) | st.binary(max_size=40))
    if draw(st.booleans()):
        raw = raw[: draw(st.integers(1, len(raw)))]
    return Reply(raw=raw, drop=draw(st.sampled_from((True, True, True, False))))


def _replies() -> st.SearchStrategy[Reply]:
    return _spoken() | _shouted()


@st.composite
def _exchanges(draw: st.DrawFn) -> Exchange:
    reply = draw(_replies())
    sound = not (reply.raw or reply.drop or reply.status in _BODILESS)
    memory = draw(
        st.lists(st.sampled_from((b"on", b"off", b"read")).map(lambda word: (b"x-mneme-memory", word)), max_size=1)
    )
    user = [(b"x-mneme-user", b"ada")] if draw(st.booleans()) else []
    target = draw(st.sampled_from((CHAT, CHAT, CHAT, b"/v1/completions", b"/v1/embeddings")))
    return Exchange(target, draw(st.booleans()), (*memory, *user), reply, sound)
