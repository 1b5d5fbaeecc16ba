"""Streams: however they are cut and framed, they spell the same; no bytes make reading fail."""

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.fold import Call, fold_json, fold_stream
from gateway.wire.sse import EndMark, events
from tests.properties.bodies import TEXT

LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
CALLS = st.lists(st.builds(Call, st.uuids().map(str), TEXT.map(lambda t: t or "f"), TEXT), max_size=3)
SAID = st.fixed_dictionaries({"content": TEXT, "reasoning": TEXT, "refusal": TEXT, "calls": CALLS})


def cut(data: st.DataObject, text: Any) -> list[Any]:
    """The text in pieces, cut at places of Hypothesis's choice."""
    places = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    return [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]


def chunks_of(index: int, said: dict[str, Any], data: st.DataObject) -> list[dict[str, Any]]:
    """The deltas that spell one choice."""
    deltas: list[dict[str, Any]] = [
        {name: piece} for name in ("reasoning", "content", "refusal") for piece in cut(data, said[name])
    ]
    for number, call in enumerate(said["calls"]):
        deltas.append({"tool_calls": [{"index": number, "id": call.id, "function": {"name": call.name}}]})
        deltas += [
            {"tool_calls": [{"index": number, "function": {"arguments": piece}}]} for piece in cut(data, call.arguments)
        ]
    return [{"choices": [{"index": index, "delta": delta}]} for delta in deltas]


def interleaved(data: st.DataObject, lanes: list[list[Any]]) -> list[Any]:
    """All items, each lane in its own order."""
    order = data.draw(st.permutations([i for i, lane in enumerate(lanes) for _ in lane]))
    left = [iter(lane) for lane in lanes]
    return [next(left[i]) for i in order]


@given(st.lists(SAID, min_size=1, max_size=3), st.data())
def test_folding_undoes_chunking(choices: list[dict[str, Any]], data: st.DataObject) -> None:
    """Cut a message into deltas and the fold of them is the message, for every choice and call."""
    chunks = interleaved(data, [chunks_of(i, said, data) for i, said in enumerate(choices)])
    raw = b"".join(b"data: %s\n\n" % orjson.dumps(chunk) for chunk in chunks) + b"data: [DONE]\n\n"
    folded = fold_stream(raw)

    assert [
        {"content": c.content, "reasoning": c.reasoning, "refusal": c.refusal, "calls": list(c.calls)}
        for c in folded.choices
    ] == choices
    assert (folded.done, folded.error) == (True, False)


@given(st.lists(st.lists(TEXT.map(str.encode), min_size=1, max_size=3), max_size=4), LINE_ENDS, st.data())
def test_events_are_the_same_under_every_line_end(payloads: list[list[bytes]], end: bytes, data: st.DataObject) -> None:
    """What was put into data lines comes out, whatever ends the lines and whatever comments stand between."""
    payloads = [[line.translate(None, b"\r\n") for line in payload] for payload in payloads]
    raw = b""
    for payload in payloads:
        raw += data.draw(st.sampled_from([b"", b": ping" + end, b"event: x" + end]))
        raw += b"".join(b"data: " + line + end for line in payload) + end

    assert list(events(raw)) == [b"\n".join(payload) for payload in payloads]


@given(
    st.lists(st.sampled_from([b"data: ", b"data:", b"[DONE]", b"\n", b"\r", b"x", b'"', b" ", b": "]), max_size=14),
    st.data(),
)
def test_the_end_is_seen_the_same_however_the_stream_is_cut(tokens: list[bytes], data: st.DataObject) -> None:
    """The mark stands at a line's beginning or nowhere, and no way of cutting changes that."""
    stream = b"".join(tokens)
    lines = stream.replace(b"\r", b"\n").split(b"\n")
    mark = EndMark()
    seen = [mark.feed(piece) for piece in cut(data, stream)]

    assert seen[-1] == any(line.startswith((b"data: [DONE]", b"data:[DONE]")) for line in lines)


@given(st.binary(max_size=80) | st.text('data: {}[]"\n\r:,1choiesndlt', max_size=80).map(str.encode))
def test_no_bytes_make_reading_fail(raw: bytes) -> None:
    """Whatever a worker sends, folding ends in an answer."""
    assert fold_json(raw).done is not fold_json(raw).error
    assert fold_stream(raw).choices is not None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "delta", "index", "tool_calls", "function", "id", "content", "error", "usage"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=3))
def test_no_json_makes_folding_fail(chunks: list[Any]) -> None:
    """Right names with wrong types are no reason to fail."""
    raw = b"".join(b"data: %s\n\n" % orjson.dumps(chunk) for chunk in chunks)

    assert isinstance(fold_stream(raw).error, bool)
