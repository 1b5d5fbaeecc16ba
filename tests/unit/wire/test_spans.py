"""Places inside raw JSON: found exactly, or refused."""

import pytest

from gateway.errors import NotSpliceable
from gateway.wire import spans


def test_members_are_found_between_any_white_space() -> None:
    """A key begins at its quote, a value where it begins and ends without the space around it."""
    raw = b'{ "a" :\t1 ,\n"b":"x"\r}'

    assert spans.members(raw, 0, len(raw)) == {"a": (2, 8, 9), "b": (12, 16, 19)}


def test_an_empty_object_has_no_members() -> None:
    """Nothing between the brackets but space."""
    assert spans.members(b"{ }", 0, 3) == {}


def test_an_empty_array_has_no_elements() -> None:
    """Nothing between the brackets but space."""
    assert spans.elements(b"[ ]", 0, 3) == []


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":1,"a":1}',
        b'{"a":1,"a":22}',
        b'{"a":11,"a":1}',
        b'{"a":"x","b":2,"a":"x"}',
        b'{"a":1,"\\u0061":2}',
        b'{"a":1,"b":"zzzz","a":{"p":1,      "b":"yyy"}}',
    ],
    ids=["same value", "longer", "shorter", "apart", "escaped", "imitating the end of the object"],
)
def test_two_members_of_one_name_are_refused(raw: bytes) -> None:
    """Which of the two counts is the worker's to say."""
    with pytest.raises(NotSpliceable):
        spans.members(raw, 0, len(raw))


@pytest.mark.parametrize("raw", [b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}", b'{"a":}', b"[1]", b'"a"', b"{"])
def test_what_the_walker_cannot_read_is_refused(raw: bytes) -> None:
    """Too deep, malformed or no object: NotSpliceable, never the parser's own error."""
    with pytest.raises(NotSpliceable):
        spans.members(raw, 0, len(raw))


def test_space_is_skipped_as_far_as_it_goes() -> None:
    """Up to the next byte that is none, or to the end."""
    assert [spans.skip_space(b" \t\n\rx  ", at) for at in (0, 4, 5)] == [4, 4, 7]
