"""How many tokens the head of a prompt has, in the worker's own count: asked once, kept, never waited for long.

Rule: once a head has its number it keeps it, for the worker's prefix cache holds what was computed under that number.
"""

import asyncio
import hashlib
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import msgspec

from gateway.errors import UpstreamError
from gateway.upstream.client import Headers
from gateway.upstream.errands import Errands
from gateway.upstream.worker import Worker

# Heads whose number is kept: what people talk about at the same time, and more.
_KEPT = 8192
_ASK_SECONDS = 5.0
# After so long a head that could not be counted is tried again.
_AGAIN_SECONDS = 60.0
_JSON: Headers = [(b"content-type", b"application/json")]

_Key = tuple[str, bytes, bytes]


class _Tokenized(msgspec.Struct):
    count: int


_tokenized = msgspec.json.Decoder(_Tokenized)


@dataclass(frozen=True, slots=True)
class _Count:
    """What a worker by this URL said, and when (the loop's clock)."""

    tokens: int | None
    at: float
    url: str


class Sinks:
    """A head is the body of a POST /tokenize as vLLM has it, beside its /v1. Its answer is waited for by whoever is in
    a hurry, and goes on in `errands` when they are gone."""

    def __init__(self, errands: Errands) -> None:
        self._errands = errands
        self._counts: OrderedDict[_Key, _Count] = OrderedDict()
        self._asked: dict[_Key, asyncio.Event] = {}

    def expect(self, worker: Worker, head: bytes) -> None:
        """Begin to count a head that will probably be wanted."""
        key = _key(worker, head)
        if self._due(key, worker):
            self._ask(key, worker, head)

    async def count(self, worker: Worker, head: bytes, patience: float) -> int | None:
        """Tokens of the head; 0 when the worker wants none of it as a sink, None when nobody knows within `patience`
        seconds. It is asked for all the same, so that the next turn knows."""
        key = _key(worker, head)
        if self._due(key, worker) and (told := self._ask(key, worker, head)) and patience > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await told.wait()
        count = self._counts.get(key)
        if count is None:
            return None
        self._counts.move_to_end(key)
        return count.tokens

    def refuse(self, worker: Worker, head: bytes) -> None:
        """The worker did not take a prompt with this sink, and took one without: it is not asked for again."""
        self._keep(_key(worker, head), 0, worker)

    def _due(self, key: _Key, worker: Worker) -> bool:
        """Whether it has no number, and this worker was not asked for it in vain just now."""
        count = self._counts.get(key)
        if count is None:
            return True
        rested = asyncio.get_running_loop().time() - count.at >= _AGAIN_SECONDS
        return count.tokens is None and (rested or count.url != worker.url)

    def _ask(self, key: _Key, worker: Worker, head: bytes) -> asyncio.Event | None:
        """What will be set when the worker has answered, or has not; None when too many are asked for."""
        if key in self._asked:
            return self._asked[key]
        if not self._errands.offer(partial(self._tokenize, key, worker, head)):
            return None
        told = self._asked[key] = asyncio.Event()
        return told

    async def _tokenize(self, key: _Key, worker: Worker, head: bytes) -> None:
        tokens = None
        try:
            async with (
                asyncio.timeout(_ASK_SECONDS),
                worker.upstream.send("POST", "/tokenize", _JSON, head, beside=True) as answer,
            ):
                body = await answer.whole()
            tokens = _tokenized.decode(body).count if answer.status == 200 else None
        except (UpstreamError, TimeoutError, msgspec.DecodeError):
            tokens = None
        finally:
            self._keep(key, tokens, worker)
            self._asked.pop(key).set()

    def _keep(self, key: _Key, tokens: int | None, worker: Worker) -> None:
        self._counts[key] = _Count(tokens, asyncio.get_running_loop().time(), worker.url)
        self._counts.move_to_end(key)
        if len(self._counts) > _KEPT:
            self._counts.popitem(last=False)


def _key(worker: Worker, head: bytes) -> _Key:
    """Replicas that report the same count the same."""
    like = (worker.group, worker.likeness) if worker.group else (worker.url, b"")
    return *like, hashlib.blake2b(head, digest_size=16).digest()
