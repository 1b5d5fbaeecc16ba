"""Looks for words in files, in a Redis and in a Qdrant, in whatever form they lie there. Knows nothing else of them."""

import asyncio
from base64 import b64encode
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from grpc.aio import insecure_channel
from qdrant_client import grpc
from redis.asyncio import Redis

from gateway.memory.stores.points import BODY, INDEXED_WORDS

_ALL = 100_000


def forms(word: str) -> tuple[bytes, ...]:
    """The bytes of a word of plain letters: as it is, in UTF-16, in hexadecimal, escaped, and within base64 wherever in
    three bytes it begins."""
    plain = word.encode()
    wide = word.encode("utf-16-le")
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in word).encode()
    folded = [b64encode(b"\0" * at + plain)[skip:-4] for at, skip in enumerate((0, 2, 3))]
    return plain, wide, word.encode("utf-16-be"), plain.hex().encode(), escaped, *folded


def found_in(data: bytes, words: Iterable[str]) -> Iterator[str]:
    """Those of the words that lie in it."""
    return (word for word in words if any(form in data for form in forms(word)))


def in_files(folder: Path, words: Collection[str], leaving: Collection[str] = ()) -> dict[str, set[str]]:
    """Below a directory, names included: word → the files that hold it. `leaving` names what is not looked into."""
    held: dict[str, set[str]] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and not {*name.parts} & {*leaving}:
            for word in found_in(bytes(name) + b"\0" + path.read_bytes(), words):
                held.setdefault(word, set()).add(str(name))
    return held


async def in_redis(url: str, words: Collection[str]) -> dict[str, set[str]]:
    """All keys of all types, names and values: word → the keys that hold it."""
    held: dict[str, set[str]] = {}
    async with Redis.from_url(url) as client:
        async for key in client.scan_iter(count=1000):
            data = key + b"\0" + b"\0".join(_flat(await _value(client, key)))
            for word in await asyncio.to_thread(lambda data=data: [*found_in(data, words)]):  # type: ignore[misc]
                held.setdefault(word, set()).add(repr(key))
    return held


async def in_qdrant(address: str, collection: str, words: Collection[str]) -> dict[str, set[str]]:
    """All points that its gRPC gives out, with all that stands beside their vectors."""
    fields = grpc.PayloadIncludeSelector(fields=[BODY, *INDEXED_WORDS])
    asked = grpc.ScrollPoints(
        collection_name=collection, limit=_ALL, with_payload=grpc.WithPayloadSelector(include=fields)
    )
    async with insecure_channel(address, options=[("grpc.max_receive_message_length", -1)]) as channel:
        told = await grpc.PointsStub(channel).Scroll(asked)  # type: ignore[no-untyped-call]
    assert not told.HasField("next_page_offset"), "there is more than was looked at"
    held: dict[str, set[str]] = {}
    for point in told.result:
        for word in found_in(point.SerializeToString(), words):
            held.setdefault(word, set()).add(f"point {point.id.uuid}")
    return held


async def _value(client: Any, key: bytes) -> Any:
    kind = (await client.type(key)).decode()
    match kind:
        case "string":
            return await client.get(key)
        case "hash":
            return await client.hgetall(key)
        case "zset":
            return await client.zrange(key, 0, -1)
        case "set":
            return await client.smembers(key)
        case "list":
            return await client.lrange(key, 0, -1)
        case "stream":
            return [await client.xrange(key), [str(each) for each in await client.xinfo_groups(key)]]
    return []  # it has gone meanwhile


def _flat(value: Any) -> Iterator[bytes]:
    if isinstance(value, bytes):
        yield value
    elif isinstance(value, str):
        yield value.encode()
    elif isinstance(value, dict):
        for pair in value.items():
            yield from _flat(pair)
    elif isinstance(value, list | tuple | set | frozenset):
        for each in value:
            yield from _flat(each)
