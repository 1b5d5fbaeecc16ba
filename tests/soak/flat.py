"""Whether what was sampled stays flat: a robust line, its slope, a bound. Pure; knows no process."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

HOUR = 3600.0


@dataclass(frozen=True)
class Bound:
    """How much a measure may rise: `hourly`, or by so little in all that it is `noise`, whichever is more."""

    measure: str
    unit: str
    hourly: float
    noise: float


@dataclass(frozen=True)
class Verdict:
    """One measure of one process after the warm-up. `begin` and `end` lie on the line; `hourly` is its slope."""

    process: str
    bound: Bound
    begin: float
    end: float
    hourly: float
    samples: int

    @property
    def flat(self) -> bool:
        """It does not rise beyond its bound. Nothing is flat that was hardly looked at."""
        allowed = self.hourly <= self.bound.hourly or self.end - self.begin <= self.bound.noise
        return self.samples >= _FEWEST and allowed


_FEWEST = 10


def slope(times: Sequence[float], values: Sequence[float]) -> float:
    """Theil–Sen: the median of the slopes between all pairs of samples, so that up to 29 % of them may be anything
    (Sen, Estimates of the Regression Coefficient Based on Kendall's Tau, 1968). 0 for fewer than two samples."""
    pairs = combinations(zip(times, values, strict=True), 2)
    slopes = [(b - a) / (u - t) for (t, a), (u, b) in pairs if u > t]
    return median(slopes) if slopes else 0.0


def judged(process: str, bound: Bound, times: Sequence[float], values: Sequence[float], warm: float) -> Verdict:
    """Of the samples from `warm` on; `times` are seconds."""
    kept = [(t, v) for t, v in zip(times, values, strict=True) if t >= warm]
    times, values = [t for t, _ in kept], [v for _, v in kept]
    rise = slope(times, values)
    middle = median(v - rise * t for t, v in kept) if kept else 0.0
    first, last = (times[0], times[-1]) if times else (0.0, 0.0)
    return Verdict(process, bound, middle + rise * first, middle + rise * last, rise * HOUR, len(kept))
