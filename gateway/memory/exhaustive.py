"""All active memories of one scope in arrays, each scored against every question: exact, and quick while they are few.
Pure; never knows who keeps it or where else the memories are, and is not safe to use from two threads at once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from gateway.memory.fuse import AT_AN_END, IN_TIME, Column, promise, shortlist
from gateway.memory.records import Candidate, Entry, Memory, Query, Sparse, Times

Ints = np.ndarray[Any, np.dtype[np.integer[Any]]]
Floats = np.ndarray[Any, np.dtype[np.float32]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

_TEXTS = ("turn", "near")
_SPARE = 1.25  # rows of room per row in use, so that arrays are seldom copied when memories come one by one
_LITTER = 256  # dead rows that are always borne: a turn replaces its neighbours, and copying all for each costs more


class Exhaustive:
    """Vectors as float32 rows, terms as postings, the memories as they are. A memory takes as much as its two vectors
    (8 bytes a dimension), 12 bytes a term and itself, some 5 kB with 384 dimensions, and up to twice that while ones
    that were replaced wait to be swept out.

    Dense scores are inner products of unit vectors. BM25 weighs terms by their rarity among these memories alone.
    """

    def __init__(self, dimension: int) -> None:
        self._rows: dict[str, int] = {}
        self._memories: dict[int, Memory] = {}
        self._used = 0
        self._alive: Mask = np.zeros(0, np.bool_)
        self._dense: dict[str, Floats] = {name: np.zeros((0, dimension), np.float32) for name in _TEXTS}
        self._words = {name: _Postings() for name in _TEXTS}

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, entries: Iterable[Entry]) -> None:
        """Insert or replace by memory id. One that is archived is not kept, as it is not found."""
        latest = {entry.memory.id: entry for entry in entries}
        self._kill(latest)
        fresh = [entry for entry in latest.values() if entry.memory.status == "active"]
        if fresh:
            self._append(fresh)
        if self._used - len(self) > max(_LITTER, len(self)):
            self._sweep()

    def remove(self, ids: Iterable[str]) -> None:
        """Nothing of these memories is left, nor of what others replaced."""
        self._kill(ids)
        if self._used > len(self):
            self._sweep()

    def search(self, query: Query, limit: int) -> list[Candidate]:
        """See ports.MemoryStore.search. Every candidate has all its signals."""
        memories, scores = self._memories, self._scores(query)
        union = {row for column, found in scores for row in _top(column, found, memories, limit)}
        # In an order of their own, so that sums are rounded alike whatever was put first.
        rows = sorted(union, key=lambda row: memories[row].id)
        columns = [column[rows] for column, _ in scores]
        best = shortlist(promise(columns), [memories[row].id for row in rows], limit)
        chosen = [rows[place] for place in best]
        chosen = [*dict.fromkeys([*chosen, *self._of_times(query.times, scores[1][0])])]
        told = zip(*(column[chosen].tolist() for column, _ in scores), strict=True)
        return [Candidate(memories[row], _signals(*points)) for row, points in zip(chosen, told, strict=True)]

    def _of_times(self, times: Times, nearness: Column) -> list[int]:
        """Rows of what was said in the periods and at the end that are asked for."""
        memories, found = self._memories, list[int]()
        if times.periods:
            then = [row for row, m in memories.items() if any(start <= m.at < end for start, end in times.periods)]
            found += sorted(then, key=lambda row: (-nearness[row], memories[row].id))[:IN_TIME]
        if times.end:
            line = sorted((m.seq, m.id, row) for row, m in memories.items() if m.seq > 0)
            found += [row for _, _, row in (line[:AT_AN_END] if times.end == "first" else line[-AT_AN_END:])]
        return found

    def _scores(self, query: Query) -> list[tuple[Column, Ints]]:
        """In the order of fuse.SIGNALS, one score per row, and the rows that the signal finds."""
        asked, alive = np.asarray(query.dense, np.float32), self._alive[: self._used]
        live = np.flatnonzero(alive)
        # Not a matrix product: that one is shared out among threads, and waits for cores that are busy embedding.
        dense = [np.vecdot(self._dense[name][: self._used], asked).astype(float) for name in _TEXTS]
        words = [self._words[name].scores(query.sparse, alive, len(self)) for name in _TEXTS]
        return [*((column, live) for column in dense), *((column, np.flatnonzero(column)) for column in words)]

    def _append(self, entries: Sequence[Entry]) -> None:
        first, last = self._used, self._used + len(entries)
        if last > len(self._alive):
            self._resize(int(last * _SPARE))
        for name in _TEXTS:
            self._dense[name][first:last] = [entry.dense[name] for entry in entries]
            self._words[name].add(first, [entry.sparse[name] for entry in entries])
        self._alive[first:last] = True
        self._used = last
        self._memories.update((first + i, entry.memory) for i, entry in enumerate(entries))
        self._rows.update((entry.memory.id, first + i) for i, entry in enumerate(entries))

    def _resize(self, room: int) -> None:
        spare = room - len(self._alive)
        self._alive = np.pad(self._alive, (0, spare))
        self._dense = {name: np.pad(rows, ((0, spare), (0, 0))) for name, rows in self._dense.items()}

    def _kill(self, ids: Iterable[str]) -> None:
        """Their rows lie idle until the next sweep."""
        rows = [self._rows.pop(id) for id in ids if id in self._rows]
        self._alive[rows] = False
        for row in rows:
            del self._memories[row]

    def _sweep(self) -> None:
        """Copy what is alive into new arrays."""
        live = np.flatnonzero(self._alive)
        moved = np.full(self._used, -1, np.int32)
        moved[live] = np.arange(len(live))
        self._memories = {int(moved[row]): memory for row, memory in self._memories.items()}
        self._rows = {id: int(moved[row]) for id, row in self._rows.items()}
        self._used = len(live)
        self._alive = self._alive[live]
        self._dense = {name: rows[live] for name, rows in self._dense.items()}
        for words in self._words.values():
            words.move(moved)


def _signals(dense_turn: float, dense_near: float, bm25_turn: float, bm25_near: float) -> dict[str, float]:
    signals = {"dense_turn": dense_turn, "dense_near": dense_near}
    if bm25_turn:
        signals["bm25_turn"] = bm25_turn
    if bm25_near:
        signals["bm25_near"] = bm25_near
    return signals


def _top(column: Column, found: Ints, memories: Mapping[int, Memory], limit: int) -> list[int]:
    """Of the rows found the `limit` with the highest scores; of equals those with the lower ids."""
    if len(found) <= limit:
        return list(found.tolist())
    scores = column[found]
    floor = np.partition(scores, -limit)[-limit]
    above, tied = found[scores > floor].tolist(), found[scores == floor].tolist()
    return [*above, *sorted(tied, key=lambda row: memories[row].id)[: limit - len(above)]]


@dataclass(frozen=True, slots=True)
class _Block:
    """Parallel arrays, one element per term of a text, in the order of the terms: term, row, weight."""

    terms: np.ndarray[Any, np.dtype[np.uint32]]
    rows: Ints
    values: Floats

    def find(self, asked: np.ndarray[Any, np.dtype[np.uint32]]) -> tuple[Any, Ints, Floats]:
        """Which of the terms asked for, in which row, with which weight."""
        start, end = (np.searchsorted(self.terms, asked, side) for side in ("left", "right"))
        counts = end - start
        which = np.repeat(np.arange(len(asked)), counts)
        places = np.arange(len(which)) + np.repeat(start - (np.cumsum(counts) - counts), counts)
        return which, self.rows[places], self.values[places]


def _block(terms: Any, rows: Any, values: Any) -> _Block:
    order = np.argsort(terms, kind="stable")
    return _Block(terms[order], rows[order], values[order])


def _merged(blocks: Sequence[_Block]) -> _Block:
    return _block(*(np.concatenate([getattr(b, part) for b in blocks]) for part in ("terms", "rows", "values")))


class _Postings:
    """Which rows have a term, in blocks that are never changed: what is added makes a new one, and small ones merge."""

    def __init__(self) -> None:
        self._blocks: list[_Block] = []

    def add(self, first: int, texts: Sequence[Sparse]) -> None:
        """The terms of the rows from `first` on."""
        counts = [len(text.indices) for text in texts]
        terms = np.fromiter(chain.from_iterable(text.indices for text in texts), np.uint32, sum(counts))
        values = np.fromiter(chain.from_iterable(text.values for text in texts), np.float32, sum(counts))
        rows = np.repeat(np.arange(first, first + len(texts), dtype=np.int32), counts)
        self._blocks.append(_block(terms, rows, values))
        # As long as a block is followed by one of half its size or more: few blocks, and each term is moved seldom.
        while len(self._blocks) > 1 and len(self._blocks[-2].terms) <= 2 * len(self._blocks[-1].terms):
            self._blocks[-2:] = [_merged(self._blocks[-2:])]

    def scores(self, query: Sparse, alive: Mask, living: int) -> Column:
        """BM25 of every row, 0 where no term is shared. Rarity as Qdrant's IDF modifier has it, among the `living` rows
        that are alive: ln(1 + (n − df + ½) / (df + ½))."""
        asked, weights = np.array(query.indices, np.uint32), np.array(query.values, float)
        found = [block.find(asked) for block in self._blocks]
        if not found or not len(asked):
            return np.zeros(len(alive))
        which, rows, values = (np.concatenate(parts) for parts in zip(*found, strict=True))
        valid = alive[rows]
        which, rows, values = which[valid], rows[valid], values[valid]
        having = np.bincount(which, minlength=len(asked))
        rarity = np.log((living - having + 0.5) / (having + 0.5) + 1)
        return np.bincount(rows, (weights * rarity)[which] * values, len(alive)).astype(float)

    def move(self, moved: Ints) -> None:
        """Row r is now row moved[r]; what was in a row that is -1 now is gone."""
        if not self._blocks:
            return
        whole = _merged(self._blocks)
        rows = moved[whole.rows]
        stays = rows >= 0
        self._blocks = [_Block(whole.terms[stays], rows[stays], whole.values[stays])]
