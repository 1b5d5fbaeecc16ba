"""Names of keys, members and cursors: exact for ids that hold any character. Knows no command and no record.

A joined pair carries the length of its first half in front, so that no two pairs look alike. Lua splits it in the same
way.
"""

import base64
import hashlib
import re

import msgspec

from gateway.errors import BadRequest
from gateway.memory.records import Scope
from gateway.memory.stores.codec import blob, text


def joined(first: bytes, second: bytes) -> bytes:
    """Two byte strings as one."""
    return b"%d:%b%b" % (len(first), first, second)


def split(pair: bytes) -> tuple[bytes, bytes]:
    """The two again."""
    length, _, rest = pair.partition(b":")
    return rest[: int(length)], rest[int(length) :]


def who(scope: Scope) -> bytes:
    """A user of a tenant, as one name."""
    return joined(blob(scope.tenant), blob(scope.user))


def scope(name: bytes) -> Scope:
    """The scope again."""
    tenant, user = split(name)
    return Scope(text(tenant), text(user))


def journal(prefix: str) -> bytes:
    """What the journal's keys begin with. They change together, so they share one slot of a cluster."""
    return b"%b:{journal}:" % prefix.encode()


def tenant(prefix: str, name: str) -> bytes:
    """What the keys of a tenant's sessions begin with. One slot per tenant; hashed, for a brace would move the slot."""
    return b"%b:{%b}:" % (prefix.encode(), hashlib.blake2b(blob(name), digest_size=16).hexdigest().encode())


def pattern(start: bytes, rest: bytes = b"*") -> bytes:
    """What matches the keys that begin with `start`, whatever characters that has."""
    return re.sub(rb"[\\*?[\]]", rb"\\\g<0>", start) + rest


def pack(score: float, member: bytes) -> str:
    """The cursor behind this member of a list that is sorted by score, then member."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode([score, member])).decode()


def unpack(cursor: str) -> tuple[float, bytes]:
    """What the cursor says; BadRequest for a foreign one."""
    try:
        return msgspec.msgpack.decode(base64.urlsafe_b64decode(cursor), type=tuple[float, bytes])
    except (ValueError, msgspec.DecodeError):
        raise BadRequest("The cursor is not one that this list gave out.", param="cursor") from None
