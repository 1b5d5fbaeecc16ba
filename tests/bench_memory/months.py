"""Months of one user's life, made up: facts, small talk, and now and then a question about a fact. The same for every
run that starts from the same seed. Pure."""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench import words

DAYS = 180
_ROWS = """
morning evening weekend lunch holiday meeting
train bus lift printer coffee heating
late broken loud cold slow crowded
laughed waited complained walked slept waved
"""
_WORDS = [row.split() for row in _ROWS.strip().splitlines()]
_TOLD = re.compile(r"My (.+) used to (.+) until \d+\.")


@dataclass(frozen=True, slots=True)
class Said:
    """One turn, `at` seconds after the beginning; `fact` says whether it tells one."""

    text: str
    at: float
    fact: bool


def life(turns: int, seed: int = 1) -> Iterator[Said]:
    """So many turns, evenly over DAYS: of ten some three tell a fact that is told once, one asks about an earlier
    one, mostly about one of few; the others tell nothing."""
    dice, told = random.Random(seed), [""]
    for number in range(turns):
        at, kind = number * DAYS * 86_400 / turns, dice.random()
        if kind < 0.3:
            told.append(_fresh(dice, told))
            yield Said(told[-1], at, fact=True)
        elif kind < 0.4 and len(told) > 1:
            yield Said(question(dice.choice(told[1:6] if dice.random() < 0.7 else told[1:])), at, fact=False)
        else:
            yield Said(_small(dice), at, fact=False)


def question(fact: str) -> str:
    """What can only be answered by who knows the fact."""
    found = _TOLD.fullmatch(fact)
    assert found, fact
    return f"Until when did my {found[1]} {found[2]}?"


def _fresh(dice: random.Random, told: list[str]) -> str:
    """A fact about somebody and something of whom nothing was told before."""
    known = {fact.rpartition(" until ")[0] for fact in told}
    while (fact := words.fact(dice)).rpartition(" until ")[0] in known:
        pass
    return fact


def _small(dice: random.Random) -> str:
    when, what, how, did = (dice.choice(row) for row in _WORDS)
    return f"This {when} the {what} was {how} again, so we {did} for {dice.randrange(2, 90)} minutes."
