"""Pictures and videos in a user's messages: where each lies. Pure; never keeps what was sent along, only its digest.

A URL may be a key to what it names: one whose query may hold a secret is kept without the query, and a user's name and
password in it never are.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from gateway.memory.thoughts import Media

Part = tuple[int, Any]
"""A content part of a message, and which one of it (from 0)."""

_NAMES: dict[str, Literal["image", "video"]] = {"image_url": "image", "input_image": "image", "video_url": "video"}
_MOST, _LONGEST = 32, 2048
_TELLING = 12  # characters; a longer value could be a key
_SECRET = re.compile(r"(?i)sig|tok|key|auth|cred|pass|secret|jwt|hmac|policy|session|expir|^x-|^code$|^s[epvrt]$|^sk")


def parts(messages: Iterable[Any]) -> tuple[Part, ...]:
    """What of these messages, parsed, shows a picture or a video; at most 32 of them, the first."""
    found: list[Part] = []
    for message in messages:
        content = message.get("content")
        if isinstance(content, list):
            found += [(n, part) for n, part in enumerate(content) if isinstance(part, dict) and _url(part)]
    return tuple(found[:_MOST])


def seen(shown: Sequence[Part]) -> tuple[Media, ...]:
    """Where each lies. Of bytes that were sent along the SHA-256: megabytes take milliseconds."""
    return tuple(Media(_NAMES[part["type"]], reference(_url(part)), number) for number, part in shown)


def reference(url: str) -> str:
    """What may be kept of a URL: "sha256:…" of the bytes of a data: URL; of any other what gives nobody access."""
    if url[:5].lower() == "data:":
        return f"sha256:{hashlib.sha256(_bytes(url)).hexdigest()}"
    try:
        split = urlsplit(url)
        host = split.netloc.rpartition("@")[2]
        query = split.query if _harmless(split.query) else ""
        return urlunsplit((split.scheme, host, split.path, query, ""))[:_LONGEST]
    except ValueError:  # no URL at all: nothing that anybody could fetch
        return f"sha256:{hashlib.sha256(url.encode('utf-8', 'replace')).hexdigest()}"


def _url(part: dict[str, Any]) -> str:
    """Empty where the part shows nothing that lies anywhere."""
    kind = part.get("type")
    if not isinstance(kind, str) or kind not in _NAMES:
        return ""
    held = part.get("video_url" if kind == "video_url" else "image_url")
    url = held.get("url") if isinstance(held, dict) else held
    return url if isinstance(url, str) else ""


def _harmless(query: str) -> bool:
    return all(
        len(value) <= _TELLING and len(name) <= _TELLING and not _SECRET.search(name)
        for name, value in parse_qsl(query, keep_blank_values=True, max_num_fields=16)
    )


def _bytes(url: str) -> bytes:
    head, _, data = url.partition(",")
    if head.lower().endswith(";base64"):
        try:
            return base64.b64decode(data)
        except (binascii.Error, ValueError):
            pass
    return data.encode("utf-8", "replace")
