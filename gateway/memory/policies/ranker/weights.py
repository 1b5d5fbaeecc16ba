"""Every number of the ranker, in one place, with where it comes from.

Fitted by `mneme eval fit` to five conversations of LoCoMo (Maharana et al. 2024: conv-26, -41, -43, -47, -49), told
whole and in parts of 4 to 240 turns, half of these as if by one user: the order by softmax regression on questions with
evidence; gate and cut by logistic regression, the gate also on questions about other conversations and about the world
at large.
"""

from dataclasses import dataclass
from typing import NamedTuple


class Order(NamedTuple):
    """What a candidate's place is made of: per standard deviation of a signal, or per occurrence."""

    dense_near: float = 0.24
    bm25_near: float = 0.17
    words: float = 0.48  # nearness of the question's words to the turn's own
    words_near: float = 0.52  # … and to those of the turns around it
    session: float = 0.18  # the best sum of the four signals in the same session
    speaker: float = 0.45  # + for turns of a speaker whom the question names, − for others'
    answers: float = 0.57  # the turn before asks something
    answers_it: float = 0.33  # … and shares words with the question
    asks: float = -0.66
    time: float = 0.21  # the turn tells a time
    time_wanted: float = 1.7  # … and the question asks for one
    first_person: float = 0.78
    name: float = 0.31
    on_day: float = 3.1  # said on a day that the question names
    in_period: float = 2.05  # … in a longer period
    of_day: float = 1.37  # tells of a day or weeks that the question names
    of_period: float = 0.71  # … of a longer time
    end: float = 0.34  # late, where the question wants the last; early, where it wants the first


class Gate(NamedTuple):
    """Log-odds that anything here can help: the best cosines and nearnesses, ln(candidates), names in the question."""

    base: float = -9.11
    dense_turn: float = 5.99
    dense_near: float = 10.6
    words: float = 4.4
    words_near: float = 2.14
    size: float = -0.49
    strange_names: float = -2.05  # that no candidate says


class Cut(NamedTuple):
    """Log-odds that a candidate is evidence, where something here can help. `lead` is its score above the mean."""

    base: float = 1.73
    dense_turn: float = 1.31
    words: float = 2.34
    words_near: float = -0.45
    size: float = -2.04
    lead: float = 0.73


_ORDER, _GATE, _CUT = Order(), Gate(), Cut()


@dataclass(frozen=True, slots=True)
class Weights:
    """All of them. `gate` and `cut` are chances: memory keeps silent below the one, and a candidate stays out below the
    other. Where the log-odds of the gate are below `sure`, those of every candidate fall by `doubt` times as much.

    These four were chosen by hand from `mneme eval fit --trade`: silence for strangers, at a point of evidence at most,
    and at the least cost to small memories.
    """

    order: Order = _ORDER
    gate_by: Gate = _GATE
    cut_by: Cut = _CUT
    gate: float = 0.08
    cut: float = 0.0025
    doubt: float = 0.5
    sure: float = 3.0
