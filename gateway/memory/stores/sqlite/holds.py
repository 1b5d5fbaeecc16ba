"""Who of this process is at work on which user: what was claimed, and who holds. Knows no turn's text and no database.

All of it happens between two steps of the event loop, so a hold costs nothing where nobody is in its way.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.errors import MemoryUnavailable
from gateway.memory.records import Scope

_PATIENCE = 60.0


class Holds:
    """Claimed turns by seq, with their revision, and held users. Waits `patience` seconds for a claim or a hold."""

    def __init__(self, patience: float = _PATIENCE) -> None:
        self._patience = patience
        self._claimed: dict[int, tuple[Scope, int]] = {}
        self._held: set[Scope] = set()
        self._asked: Counter[Scope] = Counter()  # held, or waited for
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def hold(self, scope: Scope) -> AsyncIterator[None]:
        """See ports.Journal."""
        self._asked[scope] += 1
        try:
            await self._free(scope)
            self._held.add(scope)
            try:
                yield
            finally:
                self._held.discard(scope)
        finally:
            self._asked[scope] -= 1
            if not self._asked[scope]:
                del self._asked[scope]
            self._tell()

    def gives(self, scope: Scope) -> bool:
        """Whether a claim may give turns of the user."""
        return scope not in self._asked

    def claim(self, seq: int, scope: Scope, revision: int) -> None:
        """The turn is being indexed, as it stands at this revision."""
        self._claimed[seq] = scope, revision

    def let_go(self) -> None:
        """What was claimed of users whom somebody waits to hold; they are not given until that is over."""
        self._claimed = {seq: claim for seq, claim in self._claimed.items() if self.gives(claim[0])}
        self._tell()

    def settle(self, seq: int) -> int:
        """The revision at which the turn was claimed; 0, which none has, if it was not."""
        _, revision = self._claimed.pop(seq, (None, 0))
        self._tell()
        return revision

    async def _free(self, scope: Scope) -> None:
        try:
            async with asyncio.timeout(self._patience):
                while scope in self._held or any(whose == scope for whose, _ in self._claimed.values()):
                    await self._changed.wait()
        except TimeoutError:
            raise MemoryUnavailable("Somebody does not come to an end with the turns of this user.") from None

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
