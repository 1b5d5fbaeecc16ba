"""Whatever is done to memories, by whom, and whatever fails in between: a verified index is the one that was never
filled by anything but its own embedder."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import MemoryUnavailable
from gateway.memory.curate import Curator
from gateway.memory.index import Index
from gateway.memory.policies.verbatim import Verbatim
from gateway.memory.reconcile import Reconciler
from gateway.memory.records import FILLING, Entry, Memory, Scope
from tests.contracts.samples import memory, turn
from tests.support.model import Clock, ModelMemories
from tests.support.model_indexes import ModelIndexes
from tests.support.model_turns import ModelJournal, ModelSessions
from tests.support.planner import unthinking
from tests.unit.stores.house import Others, Words

USERS = [Scope("acme", "ada"), Scope("acme", "bob"), Scope("globex", "ada")]
TEXTS = ["alpha beta", "gamma", "delta epsilon", "zeta", " ", "a long one. " * 40]
STEPS = 25
Job = Callable[[Curator], Awaitable[object]]


@dataclass
class Failing(ModelMemories):
    """A store that, while it is `broken`, does what it is told or does not, and says in any case that it failed."""

    broken: bool = False
    dice: random.Random = field(default_factory=lambda: random.Random(1))

    async def put(self, entries: Sequence[Entry]) -> None:
        """See ports.MemoryStore."""
        await super().put(entries if self._does() else [])
        self._fail()

    async def delete(self, scope: Scope, ids: Sequence[str]) -> int:
        """See ports.MemoryStore."""
        gone = await super().delete(scope, ids if self._does() else [])
        self._fail()
        return gone

    def _does(self) -> bool:
        return not self.broken or self.dice.random() < 0.5

    def _fail(self) -> None:
        if self.broken:
            raise MemoryUnavailable("broken")


@dataclass
class Town:
    """Two indexes of which one is read, and those who write: both, or only the one that is read."""

    stack: ExitStack
    dice: random.Random
    read: Index = field(init=False)
    second: Index = field(init=False)
    store: Failing = field(init=False)
    both: Curator = field(init=False)
    alone: Curator = field(init=False)
    reconciler: Reconciler = field(init=False)
    told: int = 0

    def __post_init__(self) -> None:
        first, self.store = ModelMemories(), Failing(dice=self.dice)
        journal, sessions = ModelJournal(), ModelSessions()
        for part in (first, self.store, journal, sessions):
            self.stack.enter_context(part.open())
        self.read, self.second = Index(first, Words()), Index(self.store, Others())
        self.alone = Curator(first, sessions, journal, self.read.embedder, Verbatim(), Clock(), unthinking())
        self.both = replace(self.alone, second=self.second)
        listed = ModelIndexes()
        listed.made("second", "others", FILLING)
        self.reconciler = Reconciler(self.read, self.second, listed, "second", journal, Verbatim())

    async def step(self, together: bool) -> None:
        """One thing that somebody does, and does again where it fails; `together`: whoever writes writes both."""
        curator = self.both if together or self.dice.random() < 0.6 else self.alone
        if curator is self.alone:
            await self.reconciler.indexes.fall_behind("second")
        self.store.broken = self.dice.random() < 0.2
        job = self.dice.choice([self._tell, self._tell, self._tell, self._edit, self._delete, self._rest])
        before = self.dice.getstate()
        try:
            await job(curator)
        except MemoryUnavailable:
            self.store.broken = False
            self.dice.setstate(before)
            await job(curator)
        self.store.broken = False

    async def _tell(self, curator: Curator) -> None:
        scope, session = self.dice.choice(USERS), self.dice.choice("st")
        for _ in range(self.dice.randrange(1, 4)):
            self.told += 1
            await curator.journal.append(
                turn(str(self.told), scope, session, user_text=self.dice.choice(TEXTS), at=float(self.told))
            )
        try:
            await curator.index(self.dice.randrange(1, 9))
        except MemoryUnavailable:  # as a writer does it
            for failed in await curator.journal.claim(100):
                await curator.journal.fail(failed, "broken", attempts=99, delay=0)

    async def _edit(self, curator: Curator) -> None:
        def changed(old: Memory) -> Memory:
            return replace(old, text=self.dice.choice(TEXTS), pinned=self.dice.random() < 0.5)

        scope = self.dice.choice(USERS)
        await curator.edit(scope, await self._some(scope), changed)

    async def _delete(self, curator: Curator) -> None:
        scope = self.dice.choice(USERS)
        await curator.delete(scope, [await self._some(scope), await self._some(scope)])

    async def _rest(self, curator: Curator) -> None:
        scope, kind = self.dice.choice(USERS), self.dice.randrange(4)
        if kind == 0:
            await curator.forget(scope)
        elif kind == 1:
            note = memory(self.dice.choice("nm"), scope, text=self.dice.choice(TEXTS), kind="note")
            await curator.add([note, replace(note, id="i", kind="turn", text=self.dice.choice(TEXTS))])
        else:
            await self.reconciler.compare(lambda _: None)

    async def _some(self, scope: Scope) -> str:
        held = [m.id for m in (await self.read.memories.browse(scope)).items]
        return self.dice.choice(held) if held else "nobody"


async def filled_alone(read: Index, sessions: ModelSessions, journal: ModelJournal) -> dict[tuple[Scope, str], Entry]:
    """What an index holds that was given all memories at once."""
    store = ModelMemories()
    with store.open():
        curator = Curator(store, sessions, journal, Others(), Verbatim(), Clock(), unthinking())
        for scope in USERS:
            await curator.add((await read.memories.browse(scope, limit=1000)).items)
        return store.rows


async def agrees(seed: int, together: bool) -> None:
    """Runs the random steps, then makes the second index like the first."""
    with ExitStack() as stack:
        town = Town(stack, random.Random(seed))
        for _ in range(STEPS):
            await town.step(together)
        while await town.both.index(100):
            pass

        said: list[str] = []
        await town.reconciler.run(said.append)

        assert "Verified" in said[-1]
        journal, sessions = town.both.journal, town.both.sessions
        assert isinstance(journal, ModelJournal) and isinstance(sessions, ModelSessions)
        assert town.store.rows == await filled_alone(town.read, sessions, journal)
        assert [standing.behind for standing in await town.reconciler.indexes.found()] == [""]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_a_verified_index_is_what_its_embedder_alone_would_have_made(seed: int, together: bool) -> None:
    """Memories, their own vectors and those of their neighbourhoods, to the last digit; also where it was left for a
    while and is written again."""
    asyncio.run(agrees(seed, together))
