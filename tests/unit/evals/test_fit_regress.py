"""The two regressions: weights that made the data are found again, and what is found is where the loss is least."""

import numpy as np
import pytest

from gateway.evals.fit.regress import Array, logistic, softmax

_SEED = 7
TRUE = np.array([1.5, -0.8, 0.0])
_STEP = 1e-5


def lists(count: int, candidates: int = 8) -> tuple[list[Array], list[Array]]:
    """Lists of candidates, of which one is drawn with a chance that the true weights give."""
    draw = np.random.default_rng(_SEED)
    rows = [draw.normal(size=(candidates, len(TRUE))) for _ in range(count)]
    gold = []
    for x in rows:
        chance = np.exp(x @ TRUE)
        gold.append(np.eye(candidates)[draw.choice(candidates, p=chance / chance.sum())])
    return rows, gold


def coins(count: int, base: float) -> tuple[Array, Array]:
    """Rows, and whether each came true by the log-odds of the true weights."""
    draw = np.random.default_rng(_SEED)
    x = draw.normal(size=(count, len(TRUE)))
    return x, (draw.random(count) < 1 / (1 + np.exp(-base - x @ TRUE))).astype(float)


def slopes(loss: "Loss", weights: Array) -> Array:
    """The loss's gradient by central differences."""
    steps = np.eye(len(weights)) * _STEP
    return np.array([(loss(weights + step) - loss(weights - step)) / (2 * _STEP) for step in steps])


class Loss:
    """Mean negative log-likelihood, told anew and plainly: list by list, row by row."""

    def __init__(self, rows: list[Array], gold: list[Array]) -> None:
        self.rows, self.gold = rows, gold

    def __call__(self, weights: Array) -> float:
        each = [
            -float(g @ (x @ weights - np.log(np.exp(x @ weights).sum()))) / g.sum()
            for x, g in zip(self.rows, self.gold, strict=True)
        ]
        return float(sum(each) / len(each))


class Odds(Loss):
    """The same for coins; a row is a list of one."""

    def __call__(self, weights: Array) -> float:
        odds = [float(weights[0] + x @ weights[1:]) for x in self.rows]
        each = [np.log1p(np.exp(o)) - float(t) * o for o, t in zip(odds, self.gold, strict=True)]
        return float(sum(each) / len(each))


def test_softmax_finds_the_weights_that_drew() -> None:
    """As well as some thousand draws can tell."""
    assert softmax(*lists(2000)) == pytest.approx(TRUE, abs=0.15)


def test_logistic_finds_base_and_weights() -> None:
    """The base comes first."""
    assert logistic(*coins(4000, -0.5)) == pytest.approx([-0.5, *TRUE], abs=0.2)


def test_softmax_stops_where_the_loss_is_least() -> None:
    """Its slope is none there, but for what the small ridge adds; elsewhere it is."""
    rows, gold = lists(200)
    loss = Loss(rows, gold)
    found = softmax(rows, gold)

    assert slopes(loss, found) == pytest.approx(np.zeros(3), abs=0.01)
    assert np.abs(slopes(loss, found + 0.3)).max() > 0.02


def test_logistic_stops_where_the_loss_is_least() -> None:
    """As softmax does."""
    x, truth = coins(400, 0.3)
    loss = Odds([*x], [*truth])
    found = logistic(x, truth)

    assert slopes(loss, found) == pytest.approx(np.zeros(4), abs=0.001)
    assert np.abs(slopes(loss, found + 0.3)).max() > 0.01


def test_several_gold_candidates_share_one_lists_say() -> None:
    """A list with two of them weighs no more than a list with one."""
    rows, gold = lists(300)
    twice = [np.concatenate([x, x]) for x in rows], [np.concatenate([g, g]) for g in gold]

    assert softmax(*twice) == pytest.approx(softmax(rows, gold), abs=1e-6)


def test_a_list_without_gold_teaches_nothing() -> None:
    """Whatever stands in it."""
    rows, gold = lists(100)
    more = [*rows, np.full((5, 3), 9.0)], [*gold, np.zeros(5)]

    assert softmax(*more) == pytest.approx(softmax(rows, gold))


def test_what_tells_nothing_weighs_nothing() -> None:
    """A column of zeros, as of a time that no question names."""
    rows, gold = lists(100)
    wider = [np.column_stack([x, np.zeros(len(x))]) for x in rows]

    assert softmax(wider, gold) == pytest.approx([*softmax(rows, gold), 0.0], abs=1e-6)


def test_what_is_told_apart_without_error_has_finite_weights() -> None:
    """There the loss has no minimum, and only the ridge keeps them."""
    x = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    base, weight = logistic(x, np.array([0.0, 0.0, 1.0, 1.0]))
    (alone,) = softmax([x], [np.array([0.0, 0.0, 0.0, 1.0])])

    assert abs(base) < 1e-6
    assert 0 < weight < 1000
    assert 0 < alone < 1000


def test_far_off_columns_do_not_overflow() -> None:
    """Numbers in the thousands are weighed, without a warning on the way."""
    rows, gold = lists(50)
    large = [np.column_stack([x * 1000, np.full(len(x), 5000.0)]) for x in rows]
    x, truth = coins(200, 0.0)

    assert np.isfinite(softmax(large, gold)).all()
    assert np.isfinite(logistic(x * 1000 + 5000, truth)).all()
