"""Cursors of lists that many stores give out alike, as opaque words. Knows no store and no record."""

import base64

import msgspec

from gateway.errors import BadRequest

_LARGEST = 2**63 - 1


def number(cursor: str | None) -> int:
    """The running number that a list goes on behind; BadRequest for a foreign cursor."""
    if cursor is None:
        return 0
    if not (cursor.isdecimal() and int(cursor[:20]) <= _LARGEST):
        raise _foreign()
    return int(cursor[:20])


def of_word(word: bytes) -> str:
    """The cursor behind a name."""
    return base64.urlsafe_b64encode(b"n" + word).decode()


def word(cursor: str) -> bytes:
    """The name that a list goes on behind; BadRequest for a foreign cursor."""
    try:
        packed = base64.b64decode(cursor, b"-_", validate=True)
    except ValueError:
        raise _foreign() from None
    if not packed.startswith(b"n"):
        raise _foreign()
    return packed[1:]


def of_pair(first: bytes, second: bytes) -> str:
    """The cursor behind a user of a tenant."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode([first, second])).decode()


def pair(cursor: str) -> tuple[bytes, bytes]:
    """Tenant and user that a list goes on behind; BadRequest for a foreign cursor."""
    try:
        return msgspec.msgpack.decode(base64.urlsafe_b64decode(cursor), type=tuple[bytes, bytes])
    except (ValueError, msgspec.DecodeError):
        raise _foreign() from None


def _foreign() -> BadRequest:
    return BadRequest("The cursor is not one that this list gave out.", param="cursor")
