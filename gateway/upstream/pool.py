"""Replicas that are assumed to be alike, and which of them a request goes to. Knows no alias and no body.

Rule: a replica that takes no requests is passed over, but no request fails for want of one that does: then the others
are asked all the same, and it is their answer that the caller gets.
"""

import asyncio
import random
from collections.abc import Callable, Collection, Sequence

from gateway.errors import UpstreamError, UpstreamUnreachable
from gateway.upstream.named import Named
from gateway.upstream.rendezvous import lighter, steady
from gateway.upstream.worker import Worker

_NOBODY = "The worker's name does not resolve to any address."

Fit = Callable[[Worker], bool]


def anyone(worker: Worker) -> bool:
    """Every replica will do."""
    return True


class Pool:
    """`fixed` are replicas by URL, `names` those that DNS tells. `draw` gives [0, 1)."""

    def __init__(
        self, fixed: Sequence[Worker], names: Sequence[Named] = (), draw: Callable[[], float] = random.random
    ) -> None:
        self._fixed = tuple(fixed)
        self._names = tuple(names)
        self._draw = draw

    @property
    def replicas(self) -> Sequence[Worker]:
        """All that there are now; those that drain too."""
        if not self._names:
            return self._fixed
        return [*self._fixed, *(worker for name in self._names for worker in name.here)]

    @property
    def spreads(self) -> bool:
        """Whether there may be something to choose."""
        return len(self._fixed) > 1 or bool(self._names)

    def choose(self, key: bytes | None, fit: Fit = anyone) -> Worker:
        """The replica for a conversation, by its key; without one, any that has less to do. Of those that are `fit`
        and take requests, so far as there are any. UpstreamUnreachable while nobody stands behind a name."""
        replicas = self.replicas
        if len(replicas) == 1:
            return replicas[0]
        if not replicas:
            raise UpstreamUnreachable(_NOBODY)
        return self._of(_best(replicas, fit), key)

    def instead(self, key: bytes | None, first: Worker, tried: Collection[Worker], fit: Fit) -> Worker | None:
        """Another replica for a request whose prompt was written for `first`; None when all were tried."""
        others = [
            worker
            for worker in self.replicas
            if worker not in tried and not worker.standing.draining and worker.likeness == first.likeness
        ]
        return self._of(_best(others, fit), key) if others else None

    def first(self, fit: Fit = anyone) -> Worker | None:
        """The one that speaks for all, of those that are fit; one that answers before one that does not."""
        fitting = [worker for worker in self.replicas if fit(worker)]
        return next((worker for worker in fitting if worker.reachable), fitting[0] if fitting else None)

    @property
    def told(self) -> bool:
        """Whether one of them has told what they are."""
        return any(worker.told for worker in self.replicas)

    @property
    def watched(self) -> Sequence[Worker | Named]:
        """What has to be watched, so that its replicas are known."""
        return (*self._fixed, *self._names)

    async def ping(self) -> None:
        """UpstreamError unless one of them answers, and would answer us; the others are not waited for."""
        failed: UpstreamError = UpstreamUnreachable(_NOBODY)
        pings = [asyncio.create_task(worker.ping()) for worker in self.replicas]
        try:
            for ping in asyncio.as_completed(pings):
                try:
                    return await ping
                except UpstreamError as error:
                    failed = error
        finally:
            for late in pings:
                late.cancel()
            await asyncio.gather(*pings, return_exceptions=True)
        raise failed

    def _of(self, workers: Sequence[Worker], key: bytes | None) -> Worker:
        loads = [worker.standing.running for worker in workers]
        if key is None:
            return workers[lighter(loads, self._draw)]
        return workers[steady(key, [worker.url for worker in workers], loads)]


def _best(workers: Sequence[Worker], fit: Fit) -> Sequence[Worker]:
    """Those to choose from: one that lists another model would refuse for sure, one that is down may be up again."""
    staying = [worker for worker in workers if not worker.standing.draining]
    fitting = [worker for worker in staying if fit(worker)]
    return (
        [worker for worker in fitting if worker.takes]
        or fitting
        or [worker for worker in staying if worker.takes]
        or staying
        or workers
    )
