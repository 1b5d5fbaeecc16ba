"""How sure a measure is: percentile bootstrap over questions (Efron 1979), within conversations. Pure, seeded."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gateway.evals.recall.measures import Array, Measure

RESAMPLES = 2000
_SEED = 20240817
_AT_ONCE = 200  # rows of weights held at a time
_OUTSIDE = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A measure's value with its 95 % interval; nan throughout where nothing was measured."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """Ours less the other's on the same questions, its 95 % interval, and the two-sided share of resamples in which
    the difference has the other sign or none."""

    ours: float
    other: float
    difference: float
    low: float
    high: float
    p: float


def estimates(found: Sequence[Measure], conversations: Sequence[str]) -> dict[str, Estimate]:
    """By measure's name; `conversations` has each question's."""
    spread = _spread(found, conversations)
    return {m.name: Estimate(m.value(), *_interval(spread[m.name])) for m in found}


def differences(ours: Sequence[Measure], other: Sequence[Measure], where: Sequence[str]) -> dict[str, Difference]:
    """By measure's name; column by column both must be about the same question, whose conversation stands in `where`.

    Paired: each resample draws the same questions for both."""
    mine, theirs = _spread(ours, where), _spread(other, where)
    return {a.name: _difference(a, b, mine[a.name] - theirs[a.name]) for a, b in zip(ours, other, strict=True)}


def _difference(ours: Measure, other: Measure, spread: Array) -> Difference:
    a, b = ours.value(), other.value()
    low, high = _interval(spread)
    p = min(1.0, 2 * min(float((spread <= 0).mean()), float((spread >= 0).mean())))
    return Difference(a, b, a - b, low, high, p)


def _spread(found: Sequence[Measure], conversations: Sequence[str]) -> dict[str, Array]:
    strata = _strata(conversations)
    draw = np.random.default_rng(_SEED)
    values: dict[str, list[Array]] = {m.name: [] for m in found}
    for begin in range(0, RESAMPLES, _AT_ONCE):
        weights = np.zeros((min(_AT_ONCE, RESAMPLES - begin), len(conversations)))
        for places in strata:
            even = np.full(len(places), 1 / len(places))
            weights[:, places] = draw.multinomial(len(places), even, size=len(weights))
        for measure in found:
            values[measure.name].append(measure.under(weights))
    return {name: np.concatenate(parts) for name, parts in values.items()}


def _strata(conversations: Sequence[str]) -> list[list[int]]:
    """The questions of each conversation. Those that are alone in theirs form one stratum: alone, nothing varies."""
    by_name: dict[str, list[int]] = {}
    for i, name in enumerate(conversations):
        by_name.setdefault(name, []).append(i)
    alone = [places[0] for places in by_name.values() if len(places) == 1]
    return [places for places in [*(p for p in by_name.values() if len(p) > 1), alone] if places]


def _interval(spread: Array) -> tuple[float, float]:
    known = spread[~np.isnan(spread)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, _OUTSIDE)
    return float(low), float(high)
