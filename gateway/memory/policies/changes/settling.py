"""Hits in which what was said later stands before what it takes back. Pure; never knows the question."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from gateway.memory.derived import Derived
from gateway.memory.policies.changes.look import Look
from gateway.memory.policies.changes.rules import takes_back
from gateway.memory.records import Hit, Memory


def settle(hits: Sequence[Hit]) -> list[Hit]:
    """Best first in, best first out: what was said later stands before what it takes back, which is marked with the
    newer one's id (`superseded`). What takes back a hit that may enter the prompt may enter it too."""
    found = list(hits)
    if all(hit.dropped for hit in found):
        return found
    place = [float(i) for i in range(len(found))]
    for newer, older in _pairs(found):
        found[newer] = replace(found[newer], dropped="")
        found[older] = replace(found[older], superseded=found[newer].memory.id)
        place[newer] = min(place[newer], place[older] - 0.5)
    return [found[i] for i in sorted(range(len(found)), key=lambda i: (place[i], -found[i].memory.at))]


def _pairs(hits: Sequence[Hit]) -> Iterator[tuple[int, int]]:
    """(newer, older) places of hits of which the one takes back the other, earliest newer first; the older one may
    enter the prompt."""
    order = sorted((i for i, hit in enumerate(hits) if hit.memory.kind == "turn"), key=lambda i: _when(hits[i].memory))
    standing: defaultdict[str, defaultdict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    looks = {i: _look(hits[i].memory) for i in order}
    for newer in order:
        look, stands = looks[newer], not hits[newer].dropped
        earlier = standing[look.speaker]
        alike = [i for words, those in earlier.items() if look.may_touch_words(words) for i in those]
        for older in sorted(alike, key=lambda i: _when(hits[i].memory)):
            if not (look.touches(looks[older]) and _follows(hits[newer].memory, hits[older].memory)):
                continue
            if look.statements and takes_back(look.statements, looks[older].statements):
                stands = True
                yield newer, older
        if stands:
            earlier[look.words].append(newer)


# A close reading is worth keeping as long as the memory is.
_look = Derived(lambda memory: Look(memory.text))


def _when(memory: Memory) -> tuple[float, int]:
    return memory.at, memory.seq


def _follows(newer: Memory, older: Memory) -> bool:
    """Whether it was surely said later: `seq` orders only what was said in one session."""
    return newer.at > older.at or (newer.session == older.session and newer.seq > older.seq)
