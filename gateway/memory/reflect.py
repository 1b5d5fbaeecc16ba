"""The writer: takes journalled turns, in order, and has them indexed. Later, post-thinking. Never answers anybody."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

from gateway.errors import MemoryUnavailable, MnemeError, StoreAway
from gateway.memory.curate import Curator
from gateway.memory.ports import Journal
from gateway.memory.records import Turn
from gateway.tracing import UNTRACED, Tracer

log = logging.getLogger(__name__)

_BATCH = 32
_ATTEMPTS = 5
_SLOW_ATTEMPTS = 1000  # of a store that answers when it is looked at, and too late when it is written to: some hours
_DELAY = 2.0


@dataclass
class Writer:
    """Runs until it is told to stop. `nudge` is called after an append, so that indexing starts at once. `reflected` is
    told of every batch the seconds that it took, and of its turns how many after their question they were indexed."""

    curator: Curator
    journal: Journal
    count: Callable[[str, int], None]
    idle: float = 1.0
    reflected: Callable[[float, Sequence[float]], None] = lambda seconds, lags: None
    tracer: Tracer = UNTRACED
    _due: asyncio.Event = field(default_factory=asyncio.Event)
    _stopping: bool = False

    def nudge(self) -> None:
        """There is something to index."""
        self._due.set()

    def stop(self) -> None:
        """Finish what is pending now, then end."""
        self._stopping = True
        self._due.set()

    async def run(self) -> None:
        """Index until stopped; a failing store delays turns, it never ends the writer."""
        while True:
            self._due.clear()
            progressed = await self._step()
            if progressed:
                continue
            if self._stopping:
                return
            await self._wait()

    async def _wait(self) -> None:
        # Also without a nudge: turns become due again after a delay, and another process may have written some.
        try:
            async with asyncio.timeout(self.idle):
                await self._due.wait()
        except TimeoutError:
            return

    async def _step(self) -> bool:
        try:
            return await self._index()
        except Exception as failed:  # whatever a turn raises, in policy or store, the writer lives on
            bug = not isinstance(failed, MnemeError)
            why = type(failed).__name__ if bug else failed
            log.warning("indexing a batch failed (%s); trying its turns one by one", why, exc_info=bug)
        return await self._one_by_one()

    async def _one_by_one(self) -> bool:
        """One poisonous turn must not hold up the others: each is tried alone, and the failing ones are delayed.

        When the store itself is away nobody is to blame: everything stays pending, and no try is counted.
        """
        try:
            await self.curator.ping()
            claimed = await self.journal.claim(_BATCH)
            progressed = [await self._alone(turn) for turn in claimed]
        except MnemeError as failed:
            log.error("memory does not answer, turns stay in the journal: %s", failed)
            return False
        return any(progressed)

    async def _alone(self, turn: Turn) -> bool:
        try:
            return await self._index((turn.id,))
        except Exception as failed:  # noqa: BLE001  # whatever it is, it is this turn's and is kept with it
            if isinstance(failed, MemoryUnavailable):
                await self.curator.ping()  # unless memory has gone away since the last look
            attempts = _SLOW_ATTEMPTS if isinstance(failed, StoreAway) else _ATTEMPTS
            dead = await self.journal.fail(turn, f"{type(failed).__name__}: {failed}", attempts=attempts, delay=_DELAY)
            self.count("dead" if dead else "failed", 1)
            return False

    async def _index(self, only: Sequence[str] = ()) -> bool:
        """Index what is due; whether there was anything."""
        began = perf_counter()
        with self.tracer.look("reflect") as span:
            turns = await self.curator.index(_BATCH, only)
            if turns:
                span.note({"mneme.turns": len(turns), "mneme.request.id": [turn.trace for turn in turns]})
        self.count("indexed", len(turns))
        if turns:
            now = self.curator.clock()
            self.reflected(perf_counter() - began, [now - turn.at for turn in turns])
        return bool(turns)
