"""Server-sent events by the HTML standard, and the mark that ends a stream."""

import pytest

from gateway.wire.sse import EndMark, events


def marked(*chunks: bytes) -> list[bool]:
    """What the end mark says after each piece."""
    mark = EndMark()
    return [mark.feed(chunk) for chunk in chunks]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b"data: a\r\n\ndata: b\n\r\n", [b"a", b"b"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a \n\n", [b" a "]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"data\n\n", [b""]),
        (b": ping\n\ndata: a\n: ping\n\n", [b"a"]),
        (b"event: x\nid: 1\nretry: 5\ndata: a\n\n", [b"a"]),
        (b"event: x\n\n", []),
        (b"dataset: a\n\nDATA: b\n\n", []),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"data: a:b: c\n\n", [b"a:b: c"]),
        (b"data: a\n\ndata: b", [b"a", b"b"]),
        (b"\n\n\ndata: a\n\n\n\n", [b"a"]),
        ("data: é\u2028\x85\n\n".encode(), ["é\u2028\x85".encode()]),
        (b"", []),
    ],
)
def test_events_hold_what_the_standard_says(raw: bytes, expected: list[bytes]) -> None:
    """All three line ends, comments, several data lines, one optional space, a byte order mark."""
    assert list(events(raw)) == expected


@pytest.mark.parametrize("stream", [b"data: a\n\ndata: [DONE]\n\n", b"data:[DONE]\n\n", b": x\r\rdata: [DONE]\r\r"])
def test_the_end_is_seen_at_every_cut(stream: bytes) -> None:
    """The piece that completes the mark is the first that says so, wherever the stream is cut."""
    end = stream.index(b"]") + 1

    for cut in range(1, len(stream)):
        assert marked(stream[:cut], stream[cut:]) == [cut >= end, True]


def test_the_end_is_seen_byte_by_byte() -> None:
    """Also when every byte comes alone."""
    stream = b"data: a\n\ndata: [DONE]\n\n"

    assert marked(*(stream[i : i + 1] for i in range(len(stream)))).index(True) == stream.index(b"]")


@pytest.mark.parametrize(
    "stream",
    [
        b'data: {"content":"data: [DONE]"}\n\n',
        b'data: {"content":"\\ndata: [DONE]"}\n\n',
        b'data: {"content":"[DONE]"}\n\n',
        b"data: x data: [DONE]\n\n",
        b": data: [DONE]\n\n",
        b"event: [DONE]\n\n",
        b"xdata: [DONE]\n\n",
        b"",
    ],
)
def test_words_about_the_end_are_not_the_end(stream: bytes) -> None:
    """A model may talk of the mark; however the stream is cut, that does not end it."""
    for cut in range(len(stream) + 1):
        assert marked(stream[:cut], stream[cut:]) == [False, False]


def test_words_about_the_end_are_not_the_end_byte_by_byte() -> None:
    """Nor when what is kept aside begins exactly at those words."""
    stream = b'data: {"content":"data: [DONE]"}\n\n'

    assert not any(marked(*(stream[i : i + 1] for i in range(len(stream)))))


def test_the_end_stays_the_end() -> None:
    """What follows does not take it back."""
    assert marked(b"data: [DONE]\n\n", b"data: x\n\n") == [True, True]
