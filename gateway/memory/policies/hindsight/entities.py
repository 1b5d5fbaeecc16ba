"""Who is who: several names of the same one become one name. Pure; asks no model, and never sees a text.

Hindsight (arXiv 2512.12818) takes the known entity of which the sum is greatest of how alike the names are, how many
others both were named with, and how near in time that was. It tells no weights and no threshold; these here are ours,
and careful: two that are taken for one are worse than one that is taken for two.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from gateway.memory.records import Memory

_LONGEST = 60
_NAMES, _BESIDE, _TIME = 0.5, 0.3, 0.2
_ENOUGH = 0.7
_TYPO = 0.9  # what is less alike is another name: Anna and Hanna are .89
_PART = 0.9  # "Ada" for "Ada Byron"
_WEEK = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class Entity:
    """A name as it was first written, the names (casefolded) that stood beside it, and when it was last named, in
    seconds since the epoch."""

    name: str
    beside: frozenset[str] = frozenset()
    last: float = 0.0

    def named(self, name: str, beside: Collection[str], at: float) -> "Entity":
        """The same one after it was named once more."""
        others = self.beside | {other.casefold() for other in beside if other.casefold() != name.casefold()}
        return Entity(self.name, others, max(self.last, at))


def tidy(names: Sequence[str], most: int) -> list[str]:
    """At most so many names, as they were written, once each, none of them long."""
    tidied = [" ".join(name.split()) for name in names]
    return [*{name.casefold(): name for name in reversed(tidied) if 0 < len(name) <= _LONGEST}.values()][::-1][:most]


def entities(memories: Sequence[Memory]) -> dict[str, Entity]:
    """Those that memories are about, by their casefolded names."""
    known: dict[str, Entity] = {}
    for memory in memories:
        note(known, memory.thought.tags if memory.thought else (), memory.at)
    return known


def note(known: dict[str, Entity], names: Sequence[str], at: float) -> None:
    """These names stood beside each other."""
    for name in names:
        known[name.casefold()] = known.get(name.casefold(), Entity(name)).named(name, names, at)


def resolved(name: str, beside: Collection[str], at: float, known: Mapping[str, Entity]) -> str:
    """The name of the known entity that is meant, or this one where none is near enough. What is written alike is the
    same one."""
    if (same := known.get(name.casefold())) is not None:
        return same.name
    likely = [(_score(name, beside, at, entity), entity.name) for entity in known.values()]
    best = min(((-score, one) for score, one in likely if score >= _ENOUGH), default=None)
    return name if best is None else best[1]


def _score(name: str, beside: Collection[str], at: float, entity: Entity) -> float:
    alike = _alike(name.casefold(), entity.name.casefold())
    if not alike:
        return 0.0
    others = {other.casefold() for other in beside} - {name.casefold()}
    shared = len(others & entity.beside) / len(others) if others else 0.0
    return _NAMES * alike + _BESIDE * shared + _TIME * math.exp(-abs(at - entity.last) / _WEEK)


def _alike(one: str, other: str) -> float:
    """1 for the same name, 0 for another one."""
    first, second = set(one.split()), set(other.split())
    if first < second or second < first:
        return _PART
    ratio = SequenceMatcher(None, one, other, autojunk=False).ratio()
    return ratio if ratio >= _TYPO else 0.0
