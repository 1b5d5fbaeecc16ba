"""What fuzzing finds, and a part's cases driven through Hypothesis, which makes a finding small. Knows no HTTP."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import FlakyFailure
from hypothesis.strategies import SearchStrategy

T = TypeVar("T")
Kind = Literal["5xx", "other"]
_SHOWN = 3000
_VARYING = re.compile(r"[0-9a-f]{6,}|\d+")


class Found(AssertionError):
    """A case that must not be: an own `5xx`, or something `other`; `what` shows it."""

    def __init__(self, kind: Kind, what: str) -> None:
        super().__init__(what)
        self.kind = kind
        self.what = what


class Hung(Found):
    """The other side hung up in the middle, or before it answered."""


@dataclass(frozen=True)
class Fuzzed:
    """`cases` were tried. `own_5xx` and `other` count what was found, each thing once; `examples` show it, as small as
    it could be made. The same `seed` draws the same cases."""

    cases: int
    own_5xx: int
    other: int
    examples: tuple[str, ...]
    seed: int

    @property
    def good(self) -> bool:
        """Nothing was found."""
        return self.cases > 0 and not self.examples


@dataclass(frozen=True)
class Part(Generic[T]):
    """A kind of case: how they are drawn, and what is done with one. `attempt` raises Found."""

    name: str
    drawn: SearchStrategy[T]
    attempt: Callable[[T], None]


@dataclass
class Tally:
    """What was tried and found so far."""

    cases: int = 0
    found: dict[str, Found] = field(default_factory=dict)

    def note(self, where: str, found: Found) -> None:
        """Each thing once: what differs in numbers only is the same."""
        key = _VARYING.sub("#", f"{where}: {found.what.partition(chr(10))[0]}")
        self.found.setdefault(key, Found(found.kind, f"{where}: {found.what}"[:_SHOWN]))

    def told(self, seed: int) -> Fuzzed:
        """All of it."""
        kinds = [found.kind for found in self.found.values()]
        examples = tuple(f"{found.what}\n(seed {seed})" for found in self.found.values())
        return Fuzzed(self.cases, kinds.count("5xx"), kinds.count("other"), examples, seed)


def hold(part: Part[T], cases: int, number: int, tally: Tally) -> None:
    """Draw so many cases of a part; ends early, with a smallest example, where something was found. `number` seeds."""
    last: list[Found] = []

    def attempt(case: T) -> None:
        tally.cases += 1
        try:
            part.attempt(case)
        except Found as found:
            last[:] = [found]
            raise

    quiet = settings(
        max_examples=cases,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        print_blob=False,
        report_multiple_bugs=False,
    )
    try:
        seed(number)(quiet(given(part.drawn)(attempt)))()
    except Found as found:
        tally.note(part.name, found)
    except FlakyFailure:
        if not last:
            raise
        tally.note(part.name, Found(last[0].kind, f"{last[0].what}\n(not every time)"))
