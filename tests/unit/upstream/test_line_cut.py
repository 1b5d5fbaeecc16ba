"""However an answer is cut, it is the same answer; whatever comes, a line ends with an answer or a known error."""

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.upstream.line import NotHttp
from tests.unit.upstream.wires import Heard, asked, feed, heard

# The same examples in every run, however slow the machine is.
steady = settings(derandomize=True, deadline=None, max_examples=60)

_TOKEN = st.text("abcXYZ012-_!#$%&'*+.^`|~", min_size=1, max_size=12).map(lambda text: b"x-" + text.encode())
_VALUE = st.binary(max_size=30).map(lambda raw: bytes(b for b in raw if b == 9 or 32 <= b != 127).strip(b" \t"))
_HEADERS = st.lists(st.tuples(_TOKEN, _VALUE), max_size=5)
_INTERIM = st.lists(
    st.sampled_from([b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 X\r\nlink: y\r\n\r\n"]), max_size=2
)
_PIECES = st.lists(st.binary(min_size=1, max_size=40), max_size=5)
_CUTS = st.lists(st.integers(0, 1 << 16), max_size=12)


@dataclass(frozen=True)
class Told:
    """An answer's bytes, what they mean, and whether the connection must end with them."""

    raw: bytes
    meant: Heard
    close: bool


@st.composite
def answers(draw: st.DrawFn) -> Told:
    """Any well-formed answer to a GET."""
    status = draw(st.sampled_from([200, 201, 204, 304, 400, 404, 429, 500, 503, 599]))
    headers, pieces = draw(_HEADERS), draw(_PIECES)
    framing = draw(st.sampled_from(["length", "chunks", "end"]))
    if status in (204, 304):
        framing, pieces = "none", []
    body, raw_body = b"".join(pieces), b"".join(pieces)
    if framing == "length":
        headers = [*headers, (b"Content-Length", b"%d" % len(body))]
    elif framing == "chunks":
        headers = [(b"Transfer-Encoding", draw(st.sampled_from([b"chunked", b"Chunked"]))), *headers]
        extension = draw(st.sampled_from([b"", b";a", b";a=b", b';a="b;c"']))
        trailers = b"".join(name + b": " + value + b"\r\n" for name, value in draw(_HEADERS))
        chunks = [b"%x%s\r\n%s\r\n" % (len(piece), extension, piece) for piece in pieces]
        raw_body = b"".join([*chunks, b"0\r\n", trailers, b"\r\n"])
    space = draw(st.sampled_from([b"", b" ", b"   "]))
    lines = [name + b":" + space + value + space + b"\r\n" for name, value in headers]
    head = b"HTTP/1.1 %d Some Reason\r\n%s\r\n" % (status, b"".join(lines))
    raw = b"".join([*draw(_INTERIM), head, raw_body])
    return Told(raw, Heard(status, headers, body), framing == "end")


@steady
@given(answers(), _CUTS)
async def test_any_cut_gives_the_same_answer(told: Told, cuts: list[int]) -> None:
    """Status, headers and body."""
    async with asked() as (line, _):
        feed(line, told.raw, cuts, close=told.close)

        assert await heard(line) == told.meant


@steady
@given(answers())
async def test_an_answer_byte_by_byte_is_the_same_answer(told: Told) -> None:
    """Cut everywhere at once."""
    async with asked() as (line, _):
        feed(line, told.raw, range(len(told.raw)), close=told.close)

        assert await heard(line) == told.meant


@steady
@given(answers(), st.integers(0, 1 << 16))
async def test_a_beginning_is_never_taken_for_the_whole(told: Told, at: int) -> None:
    """Unless only the connection's end tells."""
    part = told.raw[: at % max(len(told.raw), 1)]
    async with asked() as (line, _):
        feed(line, part, close=True)
        try:
            got = await heard(line)
        except (ConnectionError, NotHttp):
            return

        assert told.close and told.meant.body.startswith(got.body)


@steady
@given(answers(), st.lists(st.tuples(st.integers(0, 1 << 16), st.binary(max_size=3)), min_size=1, max_size=4), _CUTS)
async def test_damage_ends_in_an_answer_or_a_known_error(
    told: Told, damage: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    """Nothing foreign is raised, and nobody waits for ever."""
    raw = bytearray(told.raw)
    for at, junk in damage:
        place = at % (len(raw) + 1)
        raw[place : place + 1] = junk
    await _ends(bytes(raw), cuts)


@steady
@given(st.binary(max_size=300), _CUTS)
async def test_garbage_ends_in_a_known_error(raw: bytes, cuts: list[int]) -> None:
    """The same for what never was an answer."""
    await _ends(raw, cuts)


async def _ends(raw: bytes, cuts: list[int]) -> None:
    async with asked() as (line, _):
        feed(line, raw, cuts, close=True)
        try:
            got = await heard(line)
        except (ConnectionError, NotHttp):
            return

        assert 200 <= got.status <= 999
