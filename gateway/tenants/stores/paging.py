"""Cursors of the registry's lists. Knows no engine."""

import base64

from gateway.errors import BadRequest

_LARGEST = 2**63 - 1


def number(cursor: str | None, start: int) -> int:
    """The running number that a cursor stands for, or where to start; BadRequest for a foreign one."""
    if cursor is None:
        return start
    if not (cursor.isascii() and cursor.isdecimal() and int(cursor[:20]) <= _LARGEST):
        raise _foreign()
    return int(cursor[:20])


def pack(name: bytes) -> str:
    """The cursor behind this name."""
    return base64.urlsafe_b64encode(b"n" + name).decode()


def unpack(cursor: str | None) -> bytes | None:
    """The name that a cursor stands for, None to start; BadRequest for a foreign one."""
    if cursor is None:
        return None
    try:
        packed = base64.b64decode(cursor, b"-_", validate=True)
    except ValueError:
        raise _foreign() from None
    if not packed.startswith(b"n"):
        raise _foreign()
    return packed[1:]


def _foreign() -> BadRequest:
    return BadRequest("The cursor is not one that this list gave out.", param="cursor")
