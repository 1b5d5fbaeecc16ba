"""Which conversation a raw request belongs to, so that all of it goes to the same replica. Refuses nothing: what cannot
be read belongs to none.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.admit import Key
from gateway.upstream.client import Body

_PURPOSE = b"mneme-affinity"
_BYTES = 16


class _Asked(msgspec.Struct):
    messages: list[msgspec.Raw] = []
    input: msgspec.Raw = msgspec.Raw(b"[]")
    user: Any = None
    safety_identifier: Any = None
    metadata: Any = None


class _Message(msgspec.Struct):
    role: str


_asked = msgspec.json.Decoder(_Asked)
_list_of = msgspec.json.Decoder(list[msgspec.Raw])
_message = msgspec.json.Decoder(_Message)


def conversation(secret: bytes, key: Key, fields: Mapping[bytes, bytes], body: Body) -> bytes | None:
    """16 bytes that are the same for all requests of one conversation, at every gateway with this secret, and reveal
    nothing of it; None where there is none.

    It is the tenant's, the user's, and either the session that is named or, where none is, what the user said first:
    a client that resends its history begins it with the same bytes. Header names are lower case.
    """
    asked = _read(body)
    extra = asked.metadata if isinstance(asked.metadata, dict) else {}
    user = fields.get(b"x-mneme-user") or _first(asked.user, asked.safety_identifier, extra.get("user_id"), key.user)
    session = fields.get(b"x-mneme-session") or _first(extra.get("session_id"))
    opening = b"" if session else _opening(asked.messages or _list(asked.input))
    if not (session or opening):
        return None
    digest = hashlib.blake2b(key=secret[:64], digest_size=_BYTES, person=_PURPOSE)
    for part in (key.tenant.encode(), user.strip(), session.strip(), opening):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest()


def _read(body: Body) -> _Asked:
    try:
        return _asked.decode(body) if isinstance(body, bytes) else _Asked()
    except (msgspec.DecodeError, RecursionError):
        return _Asked()


def _list(raw: msgspec.Raw) -> list[msgspec.Raw]:
    """What /responses has in place of messages, if it is a list."""
    try:
        return _list_of.decode(raw)
    except msgspec.DecodeError:
        return []


def _first(*names: Any) -> bytes:
    return next((name.encode() for name in names if isinstance(name, str) and name), b"")


def _opening(messages: list[msgspec.Raw]) -> bytes:
    """What the user said first. What stands before it is left out: clients put the date there."""
    for raw in messages:
        try:
            if _message.decode(raw).role == "user":
                return bytes(raw)
        except msgspec.DecodeError:
            return b""
    return b""
