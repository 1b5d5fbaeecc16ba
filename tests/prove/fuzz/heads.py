"""Requests as bytes: heads, framings and pipelines that are nearly HTTP. Knows no body's meaning."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from hypothesis import strategies as st

from tests.prove.fuzz.found import Found, Part
from tests.prove.fuzz.line import Heard, blame, exchange
from tests.prove.fuzz.subject import Subject

Pair = tuple[bytes, bytes]
BODY = b'{"model":"m","messages":[{"role":"user","content":"Where do I stand?"}]}'
_LAST = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
_METHODS = b"GET GET GET POST POST POST POST PUT PATCH DELETE HEAD OPTIONS TRACE CONNECT PROPFIND PRI get G%T".split()
_VERSIONS = (*[b"HTTP/1.1"] * 12, b"HTTP/1.0", b"HTTP/1.0", b"HTTP/0.9", b"HTTP/2.0", b"http/1.1", b"HTTP/1.", b"")
_PATHS = (
    *b"/v1/chat/completions /v1/models /v1/completions /v1/embeddings /v1/responses /v1 /v1/ /v1//models".split(),
    *b"/v1/../admin/stats /v1/%2e%2e/x /v1/%00 /v1/%ff%fe /V1/models /health/live /health/ready /metrics /docs".split(),
    *b"/openapi.json /admin/memories /admin/memories/%2F%00 /admin/stats /admin/users /admin/export / // * ?".split(),
    b"http://localhost/v1/models",
    b"http://[::1/v1/models",
    b"localhost:80",
    b"/v1/chat/completions?x=\xff",
    b"/v1/models#frag",
    b"/" + b"a" * 70_000,
    b"/v1/" + b"%41" * 9_000,
)
_QUERIES = (
    b"",
    b"",
    b"?",
    b"?a=b&a=c",
    b"?tenant=fuzz&user=ada",
    b"?tenant=%ff",
    b"?user=%00&tenant=fuzz",
    b"?limit=1e9",
)
_ODD_PAIRS: tuple[Pair, ...] = (
    (b"content-length", b"0"),
    (b"content-length", b"7"),
    (b"content-length", b"-1"),
    (b"content-length", b"+5"),
    (b"content-length", b"5, 5"),
    (b"content-length", b"99999999999999999999999"),
    (b"content-length", b"0x10"),
    (b"transfer-encoding", b"chunked"),
    (b"transfer-encoding", b"identity"),
    (b"transfer-encoding", b"gzip, chunked"),
    (b"transfer-encoding", b"chunked, gzip"),
    (b"transfer-encoding", b"xchunked"),
    (b"Transfer-Encoding ", b"chunked"),
    (b"connection", b"close"),
    (b"connection", b"keep-alive, authorization, x-mneme-user"),
    (b"connection", b"upgrade"),
    (b"upgrade", b"h2c"),
    (b"upgrade", b"websocket"),
    (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    (b"expect", b"100-continue"),
    (b"expect", b"a miracle"),
    (b"host", b""),
    (b"host", b"evil.example"),
    (b"host", b"[::1"),
    (b"host", b"localhost:99999999"),
    (b"origin", b"null"),
    (b"origin", b"http://[bad"),
    (b"x-forwarded-for", b"10.0.0.1"),
    (b"authorization", b"Basic \xff\xfe"),
    (b"authorization", b"Bearer"),
    (b"authorization", b"Bearer mn-" + b"A" * 43),
    (b"authorization", b"Bearer \xc3\xa9"),
    (b"content-type", b"application/json; charset=\xff"),
    (b"content-type", b"multipart/form-data"),
    (b"content-encoding", b"gzip"),
    (b"accept-encoding", b"\x80"),
    (b"traceparent", b"00-" + b"f" * 32 + b"-" + b"0" * 16 + b"-zz"),
    (b"x-request-id", b"\xff" * 300),
    (b"x-mneme-memory", b"ON "),
    (b"x-mneme-memory", b"\xff"),
    (b"x-mneme-user", b"\xff\xfe"),
    (b"x-mneme-user", b"ada " * 200),
    (b"x-mneme-session", b"\x80" * 512),
    (b"if-match", b'"1", *, \xff'),
    (b"range", b"bytes=0-,-1"),
    (b"cookie", b"a=b; " * 1000),
    (b"x-large", b"x" * 70_000),
    (b"x-fold", b"a\r\n b"),
    (b"x-\xff", b"1"),
    (b"", b"nameless"),
    (b"x y", b"1"),
    (b"x-nul", b"a\x00b"),
    (b"x-lf", b"a\nx-more: b"),
    (b"x-cr", b"a\rb"),
)
_PAIRS = st.tuples(st.from_regex(rb"x-[a-z0-9!#$%&'*+.^_`|~-]{1,20}", fullmatch=True), st.binary(max_size=40))
_CHUNK_ODDITIES = (
    b"5;x=" + b"y" * 5000 + b"\r\nhello\r\n0\r\n\r\n",
    b"5\nhello\n0\n\n",
    b"-5\r\nhello\r\n0\r\n\r\n",
    b"fffffffffffffffff\r\nhello",
    b"5 \r\nhello\r\n0\r\n\r\n",
    b"0005\r\nhello\r\n0\r\nx-trailer: 1\r\nhost: evil\r\n\r\n",
    b"5\r\nhelloX\r\n0\r\n\r\n",
    b"\r\n0\r\n\r\n",
    b"zz\r\n",
)


@dataclass(frozen=True)
class Talk:
    """What one connection says, and whether it hangs up at once."""

    pieces: tuple[bytes, ...]
    leaves: bool


def heads(subject: Subject) -> Part[Talk]:
    """Whatever stands on a connection: no 5xx, and the next client is served."""
    return Part("heads", _talks(subject.bearer), partial(_talk, subject))


def cuts(subject: Subject) -> Part[int]:
    """A chunked question, cut in two at each of its bytes: it arrives whole."""
    raw = chunked(subject.bearer)
    return Part("cuts", st.integers(1, len(raw) - 1), partial(_cut, subject, raw))


def chunked(bearer: Pair) -> bytes:
    """A chat completion in chunks, with an extension and a trailer."""
    head = _head(b"POST", b"/v1/chat/completions", b"HTTP/1.1", [bearer, (b"x-mneme-memory", b"off"), _CODING, _CLOSE])
    return head + _chunks(BODY, (5, 31), b"x-trailer: 1\r\n")


def _talk(subject: Subject, talk: Talk) -> None:
    heard = _exchanged(subject, talk)
    blame(talk, heard.statuses, heard.raw)
    if heard.raw and not heard.raw.startswith(b"HTTP/1."):
        raise Found("other", f"an answer that is not HTTP\nsent {talk!r}\ngot {heard.raw[:200]!r}")


def _cut(subject: Subject, raw: bytes, at: int) -> None:
    subject.worker.received.clear()
    heard = _exchanged(subject, Talk((raw[:at], raw[at:]), leaves=False))
    blame(at, heard.statuses, heard.raw)
    bodies = [received.body for received in subject.worker.received]
    if heard.statuses != [200] or {*bodies} != {BODY} or not heard.closed:
        raise Found("other", f"cut at {at}: {heard!r}, the worker got {bodies!r}")


def _exchanged(subject: Subject, talk: Talk) -> Heard:
    """What came back; of a second try where our worker was too slow, which is this machine's fault."""
    heard = subject.wait(exchange(subject.port, talk.pieces, leaves=talk.leaves))
    if b'"upstream_timeout"' in heard.raw:
        heard = subject.wait(exchange(subject.port, talk.pieces, leaves=talk.leaves))
    return heard


_CODING: Pair = (b"transfer-encoding", b"chunked")
_CLOSE: Pair = (b"connection", b"close")


def _head(method: bytes, target: bytes, version: bytes, pairs: list[Pair]) -> bytes:
    lines = [b" ".join((method, target, version)), b"host: localhost", *(name + b": " + value for name, value in pairs)]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _chunks(body: bytes, sizes: tuple[int, ...], trailer: bytes) -> bytes:
    said, at = b"", 0
    for size in (*sizes, len(body)):
        piece, at = body[at : at + size], at + size
        said += b"%x;note=1\r\n%s\r\n" % (len(piece), piece) if piece else b""
    return said + b"0\r\n" + trailer + b"\r\n"


@st.composite
def _framed(draw: st.DrawFn) -> tuple[list[Pair], bytes]:
    """A body and how it is announced, truly or not."""
    body = draw(
        st.sampled_from((b"", BODY, BODY, BODY, b"hello", b"{" * 3000, b"x" * 100_000)) | st.binary(max_size=60)
    )
    told: list[Callable[[], tuple[list[Pair], bytes]]] = [
        lambda: ([], body),
        lambda: ([(b"content-length", b"%d" % len(body))], body),
        lambda: ([(b"content-length", b"%d" % len(body))], body),
        lambda: ([(b"content-length", b"%d" % (len(body) + draw(st.integers(-3, 300))))], body),
        lambda: ([_CODING], _chunks(body, draw(st.sampled_from(((), (1,), (2, 3, 7)))), b"")),
        lambda: ([_CODING], draw(st.sampled_from(_CHUNK_ODDITIES))),
        lambda: ([_CODING, (b"content-length", b"%d" % len(body))], _chunks(body, (), b"")),
    ]
    return told[draw(st.integers(0, len(told) - 1))]()


@st.composite
def _request(draw: st.DrawFn, bearer: Pair) -> bytes:
    method, version = draw(st.sampled_from(_METHODS)), draw(st.sampled_from(_VERSIONS))
    target = draw(st.sampled_from(_PATHS)) + draw(st.sampled_from(_QUERIES))
    pairs = draw(st.lists(st.sampled_from(_ODD_PAIRS) | _PAIRS, max_size=2))
    if draw(st.sampled_from((True, True, False))):
        pairs = [bearer, (b"content-type", b"application/json"), *pairs]
    framing, body = draw(_framed())
    return _head(method, target, version, pairs + framing) + body


@st.composite
def _talks(draw: st.DrawFn, bearer: Pair) -> Talk:
    raw = b"".join(draw(st.lists(_request(bearer), min_size=1, max_size=3))) + _LAST
    for _ in range(draw(st.sampled_from((0, 0, 0, 0, 0, 1, 2, 5)))):
        at = draw(st.integers(0, min(len(raw), 2000)))
        raw = raw[:at] + draw(st.binary(max_size=4)) + raw[at + draw(st.integers(0, 8)) :]
    places = sorted(draw(st.lists(st.integers(0, len(raw)), max_size=3)))
    pieces = tuple(raw[a:b] for a, b in zip([0, *places], [*places, len(raw)], strict=True) if a < b)
    return Talk(pieces, draw(st.sampled_from((False, False, False, True))))
