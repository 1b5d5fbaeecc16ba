"""Any OpenAI body as bytes: which model it names, and its members changed in place. Knows no message and no worker."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import orjson

from gateway.wire import spans

Change = tuple[int, int, bytes]
"""What stands in [start, end) gives way to these bytes."""

XARGS = "vllm_xargs"
"""The member in which vLLM takes what OpenAI's API has no name for: an object, or null for none."""


class _Named(msgspec.Struct):
    model: msgspec.Raw = msgspec.Raw(b"null")


_named = msgspec.json.Decoder(_Named)


def model_of(raw: bytes) -> str | None:
    """The `model` of a body; None where it names none, or is no JSON object that we can read."""
    try:
        model = orjson.loads(memoryview(_named.decode(raw).model))
    except (msgspec.DecodeError, RecursionError, orjson.JSONDecodeError):
        return None
    return model if isinstance(model, str) else None


def readdressed(raw: bytes, model: str, xargs: Mapping[str, str | int]) -> bytes:
    """A body that names a model, for another one, with `xargs` as `extended` has them; the rest stays byte for byte.
    NotSpliceable when two members have the same name."""
    found = spans.members(raw, *extent(raw))
    named = found["model"]
    changes, new = extended(raw, found, xargs)
    if new:
        last = max(member.end for member in found.values())
        changes.append((last, last, b"," + orjson.dumps(new)[1:-1]))
    return applied(raw, [*changes, (named.start, named.end, orjson.dumps(model))])


def extended(
    raw: bytes, found: Mapping[str, spans.Member], xargs: Mapping[str, str | int]
) -> tuple[list[Change], dict[str, Any]]:
    """How `xargs` come into a body with these members: as changes, and as members that are to come.

    Keys that the client has there stay as they are; what is there and is neither object nor null is the worker's to
    judge, and stays too.
    """
    if not xargs:
        return [], {}
    if XARGS not in found:
        return [], {XARGS: dict(xargs)}
    _, start, end = found[XARGS]
    if raw[start:end] == b"null":
        return [(start, end, orjson.dumps(dict(xargs)))], {}
    if raw[start : start + 1] != b"{":
        return [], {}
    there = spans.members(raw, start, end)
    text = orjson.dumps({name: value for name, value in xargs.items() if name not in there})[1:-1]
    return [(start + 1, start + 1, text + b"," if there and text else text)], {}


def extent(raw: bytes) -> tuple[int, int]:
    """The span of the whole body without the white space around it."""
    return spans.skip_space(raw, 0), len(raw.rstrip(b" \t\n\r"))


def applied(raw: bytes, changes: Sequence[Change]) -> bytes:
    """The bytes with the changes made."""
    view, at = memoryview(raw), 0
    pieces: list[bytes | memoryview] = []
    for start, end, text in sorted(changes):
        pieces += [view[at:start], text]
        at = max(at, end)
    return b"".join([*pieces, view[at:]])
