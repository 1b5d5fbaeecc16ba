"""An embedder, tried: whether it opens, how long a sentence takes, whether it says the same twice. Knows no model."""

import math
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager

from gateway.doctor.finding import Check, Finding, examined
from gateway.errors import MnemeError
from gateway.memory.ports import Embedder
from gateway.memory.records import Vector

_SENTENCE = "The doctor asked how the bees in Riga had come through the winter."
_TRIES = 5
_SAME = 0.9999  # of the cosine: a GPU sums in another order each time
# Of recall's deadline: the rest is for the store.
_SHARE = 0.5

Opening = Callable[[], AbstractAsyncContextManager[Embedder]]
Look = Callable[[Embedder], Awaitable[Sequence[Finding]]]


async def look(opening: Opening, look_at_index: Look, deadline: float) -> list[Finding]:
    """The embedder, and with it whatever can only be judged by whose vectors they are."""
    try:
        async with opening() as embedder:
            tried = await _tried(embedder, deadline)
            return [*tried, *await examined([Check("index", lambda: look_at_index(embedder))])]
    except MnemeError as refused:
        lost = Finding("index", "skipped", "whose vectors they should be is not known without the embedder")
        return [Finding("embedder", "fail", refused.message), lost]


async def _tried(embedder: Embedder, deadline: float) -> list[Finding]:
    times, vectors = [], []
    for _ in range(_TRIES):
        await embedder.forget()  # else it would be the first vector again
        begun = time.perf_counter()
        vectors += await embedder.embed([_SENTENCE])
        times.append(time.perf_counter() - begun)
    typical = sorted(times)[_TRIES // 2]
    told = f"{embedder.identity}, {embedder.dimension} dimensions, {1000 * typical:.1f} ms a sentence"
    if any(len(vector) != embedder.dimension for vector in vectors):
        return [Finding("embedder", "fail", f"{told}, and other dimensions now and then")]
    if min(_cosine(vectors[0], vector) for vector in vectors) < _SAME:
        advice = "Recall finds less: have the endpoint serve one model, without sampling or noise."
        return [Finding("embedder", "warn", f"{told}; the same text gets another vector each time", advice)]
    if typical > _SHARE * deadline:
        advice = f"Recall has {1000 * deadline:.0f} ms for all: raise MNEME_RECALL_DEADLINE, or embed nearer by."
        return [Finding("embedder", "warn", told, advice)]
    return [Finding("embedder", "ok", told)]


def _cosine(one: Vector, other: Vector) -> float:
    length = math.sqrt(sum(x * x for x in one) * sum(x * x for x in other))
    return sum(x * y for x, y in zip(one, other, strict=True)) / length if length else 0.0
