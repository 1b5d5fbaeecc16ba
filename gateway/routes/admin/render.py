"""Records as JSON answers. Any text can be told, also one that is not valid Unicode."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import orjson
from fastapi import Response

from gateway.memory.records import Memory


def encode(value: Any) -> bytes:
    """Records, mappings and sequences of them as JSON. A lone surrogate is told as its escape."""
    plain = msgspec.to_builtins(value, str_keys=True)
    try:
        return orjson.dumps(plain)
    except TypeError:
        return json.dumps(plain).encode()


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(encode(value), status, headers, "application/json")


def versioned(memory: Memory, status: int = 200) -> Response:
    """A memory with its version as ETag."""
    return answer(memory, status, {"etag": etag(memory)})


def etag(memory: Memory) -> str:
    """The version as a strong entity tag."""
    return f'"{memory.version}"'
