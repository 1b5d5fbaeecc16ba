"""Strategies: JSON as clients spell it, with white space, escapes and number forms that no encoder would choose."""

from collections.abc import Sequence
from typing import Any

import orjson
from hypothesis import strategies as st

SPACE = st.sampled_from([b"", b"", b" ", b"\n", b"\t", b"\r\n  "])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBERS = st.one_of(
    st.integers(-(10**25), 10**25).map(lambda n: b"%d" % n),
    st.sampled_from([b"0.1000", b"1E5", b"-0", b"-0.0", b"1e-400", b"12345678901234567890123", b"1.0e+2"]),
)
NAMES = st.one_of(
    st.sampled_from(["model", "stream", "user", "tools", "temperature", "seed", 'quo"te', "back\\slash", "nul\0", ""]),
    TEXT,
)
_SHORT = {'"': b'\\"', "\\": b"\\\\", "\n": b"\\n", "\t": b"\\t", "/": b"\\/"}


@st.composite
def spelled(draw: st.DrawFn, text: str) -> bytes:
    """A string literal for `text`: each character as it is where that is allowed, or escaped in one of two ways."""
    escapes = draw(st.lists(st.integers(0, 2), min_size=len(text), max_size=len(text)))
    return b'"' + b"".join(_letter(c, how) for c, how in zip(text, escapes, strict=True)) + b'"'


def _letter(c: str, how: int) -> bytes:
    if how == 1 and c in _SHORT:
        return _SHORT[c]
    if how == 2 or c in '"\\' or ord(c) < 32:
        units = c.encode("utf-16-be")
        return b"".join(b"\\u%02x%02x" % (units[i], units[i + 1]) for i in range(0, len(units), 2))
    return c.encode()


@st.composite
def listed(draw: st.DrawFn, items: Sequence[bytes], brackets: bytes = b"[]") -> bytes:
    """The items between brackets and commas, with white space anywhere between."""
    spaced = [draw(SPACE) + item + draw(SPACE) for item in items]
    return brackets[:1] + (b",".join(spaced) or draw(SPACE)) + brackets[1:]


@st.composite
def objects(draw: st.DrawFn, members: Sequence[tuple[str, bytes]]) -> bytes:
    """An object with these members in this order."""
    pairs = [draw(spelled(name)) + draw(SPACE) + b":" + draw(SPACE) + value for name, value in members]
    return draw(listed(pairs, b"{}"))


def _containers(inner: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    arrays = st.lists(inner, max_size=3).flatmap(listed)
    return arrays | st.dictionaries(NAMES, inner, max_size=3).flatmap(lambda found: objects(list(found.items())))


LEAVES = st.one_of(NUMBERS, TEXT.flatmap(spelled), st.sampled_from([b"true", b"false", b"null"]))
VALUES = st.recursive(LEAVES, _containers, max_leaves=6)


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """One message: any role, content as a string, an array, null or absent, and members that we do not know."""
    role = draw(st.sampled_from(["user", "user", "assistant", "system", "tool", "developer", "narrator"]))
    members = [("role", draw(spelled(role)))]
    content = draw(st.sampled_from(["text", "text", "parts", "null", "absent", "odd"]))
    if content == "text":
        members.append(("content", draw(TEXT.flatmap(spelled))))
    elif content == "parts":
        members.append(("content", draw(st.lists(parts(), max_size=3).flatmap(listed))))
    elif content == "null":
        members.append(("content", b"null"))
    elif content == "odd":
        members.append(("content", draw(NUMBERS)))
    extra = draw(st.dictionaries(st.sampled_from(["name", "tool_calls", "x", "refusal"]), VALUES, max_size=2))
    return draw(objects(draw(st.permutations([*members, *extra.items()]))))


@st.composite
def parts(draw: st.DrawFn) -> bytes:
    """One part of a content array."""
    if draw(st.booleans()):
        return draw(objects([("type", b'"text"'), ("text", draw(TEXT.flatmap(spelled)))]))
    return draw(objects([("type", b'"image_url"'), ("image_url", draw(VALUES))]))


@st.composite
def chat_bodies(draw: st.DrawFn) -> bytes:
    """A chat completion's body, with its members in any order and white space around it."""
    told = draw(st.lists(messages(), min_size=1, max_size=5).flatmap(listed))
    extra = draw(st.dictionaries(NAMES.filter(lambda name: name not in ("messages", "memory")), VALUES, max_size=4))
    members = [("messages", told), *extra.items()]
    if draw(st.booleans()):
        members.append(("memory", draw(VALUES)))
    return draw(SPACE) + draw(objects(draw(st.permutations(members)))) + draw(SPACE)


def parsed(raw: bytes) -> Any:
    """What the bytes say, in the order in which they say it."""
    return orjson.loads(raw)
