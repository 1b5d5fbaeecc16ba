"""Takes a backup into stores that are empty, line by line as it comes. Knows no HTTP and asks only ports.

What came before a damaged or missing line may be kept by then: the refusal tells how much, and how to start over.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TypeVar

from gateway.backup.lines import FORMAT, Counts, Head, Issued, Placement, Record, Tally, decode, whole
from gateway.errors import BadRequest, Conflict, MnemeError
from gateway.memory.curate import Curator
from gateway.memory.records import Kept, Memory
from gateway.tenants.ports import Registry
from gateway.tenants.records import Tenant

T = TypeVar("T")
_HELD = 2 << 20
_EMBEDDED, _WRITTEN = 32, 500
_OVER = "To restore again, start over with an empty MNEME_DATA, or with an empty Redis database and Qdrant collection."


async def restored(
    lines: AsyncIterator[tuple[int, bytes]], curator: Curator, registry: Registry, nudge: Callable[[], None]
) -> Counts:
    """How much was taken in, when it was all. `lines` come with their numbers; `nudge` wakes the writer.

    Conflict, and nothing is taken in, where there are memories or turns. BadRequest for what is no backup, or not a
    whole one. Tenants become as the backup has them; a key that is known stays as it is.
    """
    await _check_empty(curator)
    restoring = _Restoring(curator, registry)
    try:
        async for number, line in lines:
            if line.strip():
                await restoring.take(number, line)
        return restoring.ended()
    except MnemeError as failed:
        failed.message += restoring.left
        raise
    finally:
        nudge()


async def _check_empty(curator: Curator) -> None:
    if await curator.memories.tenants() or (await curator.journal.scopes(limit=1)).items:
        raise Conflict("A backup is restored where there are no memories and no turns; here there are some.")


@dataclass
class _Restoring:
    """Lines are held, and stored when the next kind begins: memories before the placements that rendered them, because
    an edited one, stored over what the writer has made of its turn, empties those."""

    curator: Curator
    registry: Registry
    _stored: Tally = field(default_factory=Tally)
    _seen: Tally = field(default_factory=Tally)
    _held: list[Record] = field(default_factory=list)
    _size: int = 0
    _last: Record | None = None

    @property
    def left(self) -> str:
        """What a restore that ends now leaves behind, as a sentence for a refusal."""
        counts = self._stored.counts
        if counts == Counts():
            return " Nothing was restored."
        return f" Restored until then: {counts}.{f' {_OVER}' if counts.turns or counts.memories else ''}"

    async def take(self, number: int, line: bytes) -> None:
        """One line. BadRequest names it if it should not be there."""
        try:
            record = decode(line)
            self._check_place(record)
        except BadRequest as wrong:
            raise BadRequest(f"Line {number}: {wrong.message}") from None
        if type(record) is not type(self._last) or self._size >= _HELD:
            await self._store()
        self._seen.add(record)
        self._held.append(record)
        self._size += len(line)
        self._last = record

    def ended(self) -> Counts:
        """That was all; BadRequest if it is not a whole backup."""
        return whole(self._last, self._seen.counts)

    def _check_place(self, record: Record) -> None:
        if isinstance(self._last, Counts):
            raise BadRequest("it stands behind the last line.")
        if isinstance(record, Head) != (self._last is None):
            raise BadRequest("a backup has one head, and begins with it.")
        if isinstance(record, Head) and record.format != FORMAT:
            raise BadRequest(f"it is a backup of format {record.format}; this Mneme reads format {FORMAT}.")

    async def _store(self) -> None:
        held, self._held, self._size = self._held, [], 0
        for record in held:
            if isinstance(record, Tenant):
                await self.registry.keep_tenant(record)
            elif isinstance(record, Issued):
                await self._issue(record)
        await self._turns([record for record in held if isinstance(record, Kept)])
        await self._memories([record for record in held if isinstance(record, Memory)])
        await self._placements([record for record in held if isinstance(record, Placement)])
        for record in held:
            self._stored.add(record)

    async def _issue(self, key: Issued) -> None:
        if await self.registry.key(key.card.id) is None:
            await self.registry.issue(bytes.fromhex(key.digest), key.card)
            await self.registry.used(key.card.id, key.card.used)

    async def _turns(self, turns: Sequence[Kept]) -> None:
        for scope, own in groupby(turns, lambda kept: kept.turn.scope):
            for batch in _batches([*own], _WRITTEN):
                await self.curator.journal.put_back(scope, batch)

    async def _memories(self, memories: Sequence[Memory]) -> None:
        """In the order of their conversations: whoever comes beside a stored turn has it embedded anew. Batch by batch,
        so that others get their turn with the stores in between."""
        for _, own in groupby(memories, lambda memory: memory.scope):
            line = sorted(own, key=lambda memory: (memory.session, memory.seq))
            for batch in _batches(line, _EMBEDDED):
                await self.curator.add(batch)

    async def _placements(self, placements: Sequence[Placement]) -> None:
        for batch in _batches(placements, _WRITTEN):
            for each in batch:
                await self.curator.sessions.place(each.scope, each.chain, each.placed)
            await self.curator.sessions.count(batch[-1].scope)  # asked behind those, so they are kept when it answers


def _batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[at : at + size] for at in range(0, len(items), size))
