"""Curves of forgetting: ours, and what two of the papers' formulas would do instead. Numbers as a table, and a plot."""

import argparse
import math
from pathlib import Path
from typing import Any

from gateway.memory.policies.fading import DAY, Ebbinghaus, Linear, Salience
from gateway.memory.records import Memory, Scope
from gateway.memory.thoughts import Use

DAYS = (0, 1, 2, 4, 7, 14, 30, 60)
STRENGTHS = (1, 3, 5)
_PLOT = Path(__file__).parents[2] / "docs" / "policies" / "forgetting.png"


def run(_options: argparse.Namespace) -> str:
    """The table; and the plot, if it can be drawn here."""
    drawn = plot(_PLOT)
    plotted = f"{_PLOT.name} is drawn anew." if drawn else "No plot: only .venv-vllm has matplotlib."
    return f"What is left of a memory:\n\n{table()}\n\n{plotted}"


def left(curve: Any, age: float, strength: float = 1.0, *, used: bool = False) -> float:
    """What is left of a memory that is so many days old; for Salience a day is ten turns."""
    use = Use(strength, int(strength) - 1, age * DAY if used else 0.0)
    memory = Memory("m", Scope("t", "u"), "s", "Said.", at=0.0, use=use)
    return float(curve.left(memory, age * DAY, int(age * 10)))


def printed(age: float, strength: float) -> float:
    """MemoryBank's code: e^(-t / 5 * S), in days."""
    return math.exp(-age / 5 * strength)


def table() -> str:
    """As Markdown: a row per curve, a column per age."""
    rows = [(f"MemoryBank, S = {s}", [left(Ebbinghaus(), age, s) for age in DAYS]) for s in STRENGTHS]
    rows += [(f"its printed code, S = {s}", [printed(age, s) for age in DAYS]) for s in STRENGTHS]
    rows += [
        ("HEMA, not recalled", [left(Salience(), age) for age in DAYS]),
        ("HEMA, recalled just now", [left(Salience(), age, 2, used=True) for age in DAYS]),
        ("linear, a year", [left(Linear(), age) for age in DAYS]),
    ]
    head = "| left after | " + " | ".join(f"{age} d" for age in DAYS) + " |"
    lines = [f"| {name} | " + " | ".join(f"{share:.3f}" for share in shares) + " |" for name, shares in rows]
    return "\n".join([head, "|---|" + "---:|" * len(DAYS), *lines])


def plot(path: Path) -> bool:
    """Draw them; False where there is no matplotlib, which only the workers' environment has."""
    try:
        import matplotlib
    except ModuleNotFoundError:
        return False
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7.2, 4.2), dpi=110)
    ages = [age / 4 for age in range(4 * 31)]
    for strength, colour in zip(STRENGTHS, ("#1f6fb4", "#2a9d5c", "#b4531f"), strict=True):
        ours, theirs = ([law(age) for age in ages] for law in (_ours(strength), _theirs(strength)))
        axes.plot(ages, ours, color=colour, linewidth=1.8, label=f"S = {strength}: the paper's words, and ours")
        axes.plot(ages, theirs, color=colour, linewidth=1.0, linestyle="--", label=f"S = {strength}: its printed code")
    axes.set(xlabel="days since it was said or recalled", ylabel="what is left", ylim=(0, 1.02), xlim=(0, 31))
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
    return True


def _ours(strength: float) -> Any:
    return lambda age: left(Ebbinghaus(), age, strength)


def _theirs(strength: float) -> Any:
    return lambda age: printed(age, strength)
