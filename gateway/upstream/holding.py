"""Which KV blocks the running requests of a worker hold, asked when somebody looks. Believes nothing that cannot be,
reads no more than a page should hold, and knows no text: there is none in it."""

import asyncio
from typing import Annotated, Literal, TypeVar

import msgspec

from gateway.errors import NotFound, UpstreamBroke, UpstreamTimeout
from gateway.upstream.client import Answer
from gateway.upstream.worker import Kv, Worker

T = TypeVar("T")

_SECONDS = 3.0  # the worker answers between two steps, and one may take a while
_LONGEST = 1 << 22
_MOST = 1 << 40
# vLLM makes a request's id of what the client calls it, which may be anything.
_ID = 128

_Count = Annotated[int, msgspec.Meta(ge=0, lt=_MOST)]


class Running(msgspec.Struct, frozen=True):
    """A request with its tokens so far; `live` are the blocks that it holds, as rising runs [first, end) of block
    numbers."""

    id: str
    policy: str
    tokens: _Count
    live: tuple[tuple[_Count, _Count], ...]


class Holding(msgspec.Struct, frozen=True):
    """What a worker tells at /kv/requests: tokens per `block`, the blocks of its `pool`, and its requests."""

    object: Literal["kv.requests"]
    block: _Count
    pool: _Count
    requests: tuple[Running, ...]


_policy, _holding = msgspec.json.Decoder(Kv), msgspec.json.Decoder(Holding)


async def held(worker: Worker) -> tuple[Kv, Holding]:
    """The worker's KV policy and what its requests hold, as of now.

    NotFound for a worker without a policy; UpstreamError where it does not answer in time, or not as it should.
    """
    try:
        async with asyncio.timeout(_SECONDS):
            kv = await _page(worker, "/kv", _policy)
            holding = await _page(worker, "/kv/requests", _holding)
    except TimeoutError:
        raise UpstreamTimeout(f"The worker {worker.shown} did not tell its KV in {_SECONDS:g} s.") from None
    requests = tuple(msgspec.structs.replace(each, id=each.id[:_ID]) for each in holding.requests)
    if not all(_rising(each) for each in requests):
        raise UpstreamBroke(f"The worker {worker.shown} tells of KV blocks that cannot be.")
    return kv, msgspec.structs.replace(holding, requests=requests)


async def _page(worker: Worker, path: str, decoder: msgspec.json.Decoder[T]) -> T:
    async with worker.upstream.send("GET", path, [], b"", beside=True) as answer:
        if answer.status == 404:
            raise NotFound(f"The worker {worker.shown} tells of no KV policy.", param="url")
        said = await _whole(answer)
    try:
        if answer.status == 200 and said is not None:
            return decoder.decode(said)
    except (msgspec.DecodeError, RecursionError):
        pass
    raise UpstreamBroke(f"The worker {worker.shown} does not tell its KV (status {answer.status}).")


async def _whole(answer: Answer) -> bytes | None:
    """The body; None where there is no end to it."""
    said = bytearray()
    async for chunk in answer.chunks():
        said += chunk
        if len(said) > _LONGEST:
            return None
    return bytes(said)


def _rising(request: Running) -> bool:
    at = 0
    for first, end in request.live:
        if not at <= first < end:
            return False
        at = end
    return True
