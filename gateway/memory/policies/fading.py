"""How memories fade: computed when they are looked at, from clocks that are handed in, never by dice. Pure.

Each curve gives what is left of a memory, 1 when it is fresh and falling towards 0; being recalled strengthens.

Two of the papers' own formulas are not used as printed: MemoryBank's code has strength make forgetting faster, and
HEMA's bonus goes to what was not recalled; both say the opposite in words, and the words are followed here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from gateway.memory.records import Hit, Memory, Turn
from gateway.memory.reflections import Reinforce

DAY = 86_400.0


class Fading(Protocol):
    """A curve."""

    def left(self, memory: Memory, now: float, later: int = 0) -> float:
        """What is left of a memory, in [0, 1], at `now` (seconds since the epoch), when the user has said `later` turns
        since."""


@dataclass(frozen=True, slots=True)
class Steady:
    """Nothing fades."""

    def left(self, memory: Memory, now: float, later: int = 0) -> float:
        """All of it."""
        return 1.0


@dataclass(frozen=True, slots=True)
class Ebbinghaus:
    """R = e^(-t / (tau S)), MemoryBank's law (arXiv 2305.10250): t since it was said or last recalled, S one more with
    every recall. `tau` in days; the paper has none, its code 5."""

    tau: float = 5.0

    def left(self, memory: Memory, now: float, later: int = 0) -> float:
        """See Fading."""
        strength = max(memory.use.strength, 1.0) if memory.use else 1.0
        return math.exp(-_age(memory, now) / (self.tau * DAY * strength))


@dataclass(frozen=True, slots=True)
class Salience:
    """HEMA's salience (arXiv 2504.16754), its bonus on what was recalled: w = λ e^(-γ age) + β [recalled lately], with
    the age in turns, divided by its greatest value. Half of the first term is left after some 347 turns."""

    fades: float = 0.002
    bonus: float = 0.5
    lately: float = 7 * DAY

    def left(self, memory: Memory, now: float, later: int = 0) -> float:
        """See Fading."""
        used = bool(memory.use and memory.use.last and now - memory.use.last <= self.lately)
        return (math.exp(-self.fades * later) + self.bonus * used) / (1 + self.bonus)


@dataclass(frozen=True, slots=True)
class Linear:
    """An even fall to nothing in `days` since it was said or last recalled."""

    days: float = 365.0

    def left(self, memory: Memory, now: float, later: int = 0) -> float:
        """See Fading."""
        return max(1.0 - _age(memory, now) / (self.days * DAY), 0.0)


def faded(hits: Sequence[Hit], curve: Fading, now: float, floor: float) -> list[Hit]:
    """The same hits; what has less than `floor` left stays out of prompts, but for what is pinned and for notes."""
    return [
        replace(hit, dropped="faded") if not hit.dropped and _gone(hit.memory, curve, now, floor) else hit
        for hit in hits
    ]


def recalls(turns: Sequence[Turn]) -> list[Reinforce]:
    """What being recalled in these turns does to memories: S + 1, once a turn."""
    return [Reinforce(id) for turn in turns for id in dict.fromkeys(turn.recalled)]


def _gone(memory: Memory, curve: Fading, now: float, floor: float) -> bool:
    return not memory.pinned and memory.kind != "note" and curve.left(memory, now) < floor


def _age(memory: Memory, now: float) -> float:
    """Seconds since it was said or last recalled."""
    return max(now - max(memory.at, memory.use.last if memory.use else 0.0), 0.0)
