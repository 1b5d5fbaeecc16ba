"""How a replica stands, by what became of its requests. Decides by an injected clock and lot; knows no worker."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import random
from time import monotonic
from typing import Literal

# Failures in a row; then seconds of rest, doubled by every probe that fails. A rest is cut by up to a half, so that
# several gateways do not probe as one.
_FAILURES = 5
_REST, _LONGEST_REST = 1.0, 30.0

State = Literal["ready", "unreachable", "open", "half-open", "draining"]
STATES: tuple[State, ...] = ("ready", "unreachable", "open", "half-open", "draining")


class Breaker:
    """Closed while requests succeed; open for a rest after failures in a row; then half-open, for one probe at a time.

    What is heard of a request counts whenever it is heard: one that was sent before the breaker opened may close it.
    """

    def __init__(self, clock: Callable[[], float] = monotonic, draw: Callable[[], float] = random) -> None:
        self._clock = clock
        self._draw = draw
        self._failures = 0
        self._rests = 0
        self._until: float | None = None
        self._probing = False

    @property
    def state(self) -> Literal["closed", "open", "half-open"]:
        """As it is now."""
        if self._until is None:
            return "closed"
        return "open" if self._clock() < self._until else "half-open"

    @property
    def admits(self) -> bool:
        """Whether a request may be sent."""
        return self._until is None or (self._clock() >= self._until and not self._probing)

    def begin(self) -> None:
        """A request is sent."""
        self._probing = self._probing or self.state == "half-open"

    def succeed(self) -> None:
        """One was answered."""
        self._failures = self._rests = 0
        self._until = None
        self._probing = False

    def fail(self) -> None:
        """One was not. What fails while the breaker is open was sent before, or for want of anybody else."""
        state = self.state
        self._failures += 1
        if state == "open" or (state == "closed" and self._failures < _FAILURES):
            return
        rest = min(_REST * 2.0**self._rests, _LONGEST_REST)
        self._until = self._clock() + rest * (1 - self._draw() / 2)
        self._rests = min(self._rests + 1, 16)
        self._probing = False

    def give_up(self) -> None:
        """One was not waited for: nothing is known by it, and another may be the probe."""
        self._probing = False


@dataclass
class Standing:
    """`running` are the requests that it is asked now, `draining` whether an operator wants no new ones to go there,
    `failovers` how many went to another replica because this one could not take them."""

    breaker: Breaker = field(default_factory=Breaker)
    draining: bool = False
    running: int = 0
    failovers: int = 0
