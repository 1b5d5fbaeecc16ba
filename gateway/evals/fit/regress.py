"""Two regressions by Newton's method. Pure: arrays in, weights out; never knows what the columns mean."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]
_RIDGE = 1e-3
_STEPS = 50
_HALVINGS = 20
_ENOUGH = 1e-8


def softmax(rows: Sequence[Array], gold: Sequence[Array]) -> Array:
    """Weights under which the gold candidates of each list are likely to be drawn first; one array of (candidates,
    columns) and one of 0 and 1 per list. Lists without gold teach nothing."""
    taught = [(x, g / g.sum()) for x, g in zip(rows, gold, strict=True) if g.any()]
    x = np.concatenate([x for x, _ in taught])
    share = np.concatenate([g for _, g in taught])
    starts = np.cumsum([0, *(len(g) for _, g in taught)])[:-1]
    lists = np.repeat(np.arange(len(taught)), np.diff([*starts, len(x)]))

    def at(weights: Array) -> tuple[float, Array, Array]:
        points = x @ weights
        points -= np.maximum.reduceat(points, starts)[lists]
        sums = np.add.reduceat(np.exp(points), starts)
        chance = np.exp(points) / sums[lists]
        loss = -float(share @ (points - np.log(sums)[lists]))
        means = np.add.reduceat(x * chance[:, None], starts)
        spread = x.T @ (x * chance[:, None]) - means.T @ means
        return loss / len(taught), x.T @ (chance - share) / len(taught), spread / len(taught)

    return _minimum(at, np.full(x.shape[1], _RIDGE))


def logistic(x: Array, truth: Array) -> Array:
    """Weights of the log-odds of `truth` (0 or 1 per row), the intercept first; `x` is (rows, columns)."""
    full = np.column_stack([np.ones(len(x)), x])

    def at(weights: Array) -> tuple[float, Array, Array]:
        odds = full @ weights
        chance = 1 / (1 + np.exp(-odds))
        loss = float(np.logaddexp(0.0, odds).sum() - truth @ odds)
        curve = full.T @ (full * (chance * (1 - chance))[:, None])
        return loss / len(x), full.T @ (chance - truth) / len(x), curve / len(x)

    ridge = np.full(full.shape[1], _RIDGE / len(x))
    return _minimum(at, ridge)


def _minimum(at: Callable[[Array], tuple[float, Array, Array]], ridge: Array) -> Array:
    """Where loss + ridge · weights² is least; `at` gives loss, gradient and curvature."""
    weights: Array = np.zeros(len(ridge))
    for _ in range(_STEPS):
        loss, gradient, curve = at(weights)
        loss += float(ridge @ weights**2)
        gradient = gradient + 2 * ridge * weights
        step = np.linalg.solve(curve + np.diag(2 * ridge) + 1e-12 * np.eye(len(ridge)), gradient)
        size = 1.0
        for _ in range(_HALVINGS):
            tried = weights - size * step
            if at(tried)[0] + float(ridge @ tried**2) <= loss:
                break
            size /= 2
        weights = weights - size * step
        if float(np.abs(size * step).max()) < _ENOUGH:
            break
    return weights
