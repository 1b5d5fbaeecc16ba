"""Which scopes are kept whole in RAM, because they are small and asked about again and again. Knows no engine: what is
written there is told here, by one thread; two threads ask."""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice

from gateway.memory.exhaustive import Exhaustive
from gateway.memory.records import Candidate, Entry, Query, Scope

# Scoring this many takes about as long as the engine's index does for any number; beyond, the index wins.
LARGEST_SCOPE = 4_000
# In all, so that RAM has a limit whatever the number of users: see Exhaustive for what one takes. A scope counts as so
# many at least, because it takes something even when it is empty.
MOST_MEMORIES, LEAST_COUNTED = 20_000, 20
# A scope that is missed twice among so many misses is worth its loading; more users than that at once would push each
# other out again before they were asked twice.
RECENT = 64
# Vectors are read as Python objects, which take several times the room of the arrays that they end in.
_PORTION = 64


@dataclass
class _Kept:
    """`used` is the number of the search that last asked for it."""

    everything: Exhaustive
    used: int
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def weight(self) -> int:
        return max(len(self.everything), LEAST_COUNTED)


class Residents:
    """Scopes in RAM, least recently used first."""

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._lock = threading.Lock()
        self._kept: OrderedDict[Scope, _Kept] = OrderedDict()
        self._missed: deque[Scope] = deque(maxlen=RECENT)
        self._searches = 0

    def search(self, scope: Scope, query: Query, limit: int) -> list[Candidate] | None:
        """See ports.MemoryStore.search; None when the scope is not here."""
        with self._lock:
            self._searches += 1
            kept = self._kept.get(scope)
            if kept is None:
                return None
            kept.used = self._searches
            self._kept.move_to_end(scope)
        with kept.lock:
            return kept.everything.search(query, limit)

    def wants(self, scope: Scope, held: int) -> bool:
        """After a search that missed: whether the scope, with about `held` memories, is to be loaded now."""
        if held > LARGEST_SCOPE:
            return False
        with self._lock:
            if scope not in self._missed:
                self._missed.append(scope)
                return False
            # What is in use is not pushed out: it would be back at once, and so on in turns.
            busy = sum(kept.weight for kept in self._kept.values() if self._searches - kept.used < RECENT)
            if busy + held > MOST_MEMORIES:
                return False
            self._missed.remove(scope)  # should the loading fail, it is not tried again at once
            return True

    def load(self, scope: Scope, entries: Iterable[Entry]) -> None:
        """Keep the scope from now on, with these entries. Nothing may be written between their reading and this."""
        everything, left = Exhaustive(self._dimension), iter(entries)
        began = time.perf_counter()
        while portion := [*islice(left, _PORTION)]:
            everything.put(portion)
            # Reading holds the interpreter; requests get as much of the time as this takes.
            time.sleep(time.perf_counter() - began)
            began = time.perf_counter()
        with self._lock:
            self._missed = deque((other for other in self._missed if other != scope), RECENT)
            self._kept[scope] = _Kept(everything, self._searches)
            self._make_room()

    def put(self, entries: Sequence[Entry]) -> None:
        """These were written."""
        of: dict[Scope, list[Entry]] = {}
        for entry in entries:
            of.setdefault(entry.memory.scope, []).append(entry)
        for scope, own in of.items():
            kept = self._get(scope)
            if kept is not None:
                with kept.lock:
                    kept.everything.put(own)
        with self._lock:
            self._make_room()

    def remove(self, scope: Scope, ids: Iterable[str]) -> None:
        """These were deleted."""
        kept = self._get(scope)
        if kept is not None:
            with kept.lock:
                kept.everything.remove(ids)

    def drop(self, scope: Scope) -> None:
        """Hold nothing of the scope, not even that it was asked about."""
        with self._lock:
            self._kept.pop(scope, None)
            self._missed = deque((other for other in self._missed if other != scope), RECENT)

    def _get(self, scope: Scope) -> _Kept | None:
        with self._lock:
            return self._kept.get(scope)

    def _make_room(self) -> None:
        for scope in [s for s, kept in self._kept.items() if len(kept.everything) > LARGEST_SCOPE]:
            del self._kept[scope]
        while sum(kept.weight for kept in self._kept.values()) > MOST_MEMORIES:
            self._kept.popitem(last=False)
