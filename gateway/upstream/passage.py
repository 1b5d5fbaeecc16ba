"""One request on its way to a replica, or to another one if the first cannot have done anything. Never looks inside a
body.
"""

import asyncio
import logging
import math
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from types import TracebackType

from gateway.errors import UpstreamError, UpstreamUnreachable
from gateway.upstream.client import Answer, Body, Headers, Unsent
from gateway.upstream.pool import Fit, Pool, anyone
from gateway.upstream.worker import Worker

log = logging.getLogger(__name__)

_FAILURE = 500


@dataclass(slots=True)
class Passage:
    """`worker` is who is asked: the one for which the prompt is written, then the one that took it. `key` is that of
    the conversation, `header` the name of the one that tells it ("" for none), `fit` who may take over. `connect` is
    how long, in seconds, connecting may take on all replicas together."""

    pool: Pool
    worker: Worker
    key: bytes | None = None
    fit: Fit = anyone
    header: bytes = b""
    connect: float = math.inf

    def send(self, method: str, path: str, headers: Headers, body: Body) -> "Asking":
        """A context with the answer, as the client's `send` has it. Another replica is asked, each once at most, while
        nothing can have been done: no connection, or one that was cut before the whole request was in it."""
        if self.header and self.key is not None:
            headers = [*(pair for pair in headers if pair[0] != self.header), (self.header, self.key.hex().encode())]
        return Asking(self, method, path, headers, body)


@dataclass(slots=True)
class Asking:
    """A context by hand: one made of a generator would cost more than all that it does."""

    passage: Passage
    method: str
    path: str
    headers: Headers
    body: Body
    _sent: AbstractAsyncContextManager[Answer] | None = field(default=None, init=False)

    async def __aenter__(self) -> Answer:
        passage = self.passage
        if not passage.pool.spreads:
            return await self._ask(math.inf)
        clock = asyncio.get_running_loop().time
        ends, first, tried = clock() + passage.connect, passage.worker, {passage.worker}
        while True:
            left = ends - clock()
            more = len(passage.pool.replicas) > len(tried)
            try:
                return await self._ask(left / 2 if more else left)
            except (UpstreamUnreachable, Unsent) as failed:
                following = passage.pool.instead(passage.key, first, tried, passage.fit)
                if following is None or clock() >= ends:
                    raise
                log.warning("%s: %s Asking %s", passage.worker.shown, failed.message, following.shown)
                passage.worker.standing.failovers += 1
            passage.worker = following
            tried.add(following)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> bool | None:
        self.passage.worker.standing.running -= 1
        return await self._sent.__aexit__(kind, error, at) if self._sent else None

    async def _ask(self, within: float) -> Answer:
        worker = self.passage.worker
        standing, breaker = worker.standing, worker.standing.breaker
        self._sent = worker.upstream.send(self.method, self.path, self.headers, self.body, within=within)
        standing.running += 1
        breaker.begin()
        try:
            answer = await self._sent.__aenter__()
        except UpstreamError as failed:
            breaker.fail()
            if isinstance(failed, UpstreamUnreachable):
                worker.doubt()
            standing.running -= 1
            raise
        except BaseException:  # the caller's fault, or the caller left: it says nothing of the worker
            breaker.give_up()
            standing.running -= 1
            raise
        if answer.status >= _FAILURE:
            breaker.fail()
        else:
            breaker.succeed()
        return answer
