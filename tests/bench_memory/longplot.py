"""What a long run found: kept as JSON, told as tables, drawn. Needs no gateway, so that plots can be drawn where
matplotlib is."""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]
_SLOWER = 0.99
_FIGURES, _PLOT = _ROOT / "build" / "longrun.json", _ROOT / "docs" / "policies" / "longrun.png"


@dataclass(frozen=True)
class Look:
    """After `turns` turns: the longest prompt since the last look, the share of questions whose evidence stood in
    their prompt, and how many memories are active, and are not."""

    turns: int
    prompt: int
    recall: float
    active: int
    resting: int


def keep(found: Mapping[str, Sequence[Look]]) -> None:
    """For `run`, beside what was found of other policies."""
    known = json.loads(_FIGURES.read_text()) if _FIGURES.exists() else {}
    told = {name: [asdict(look) for look in looks] for name, looks in found.items()}
    _FIGURES.write_text(json.dumps({**known, **told}))


def run(_options: argparse.Namespace) -> str:
    """Draw what longrun has kept."""
    if not _FIGURES.exists():
        return "No long run was made here."
    found = {name: [Look(**look) for look in looks] for name, looks in json.loads(_FIGURES.read_text()).items()}
    return f"{_PLOT.name} is drawn anew." if plot(_PLOT, found) else "No plot: only .venv-vllm has matplotlib."


def table(found: Mapping[str, Sequence[Look]]) -> str:
    """As Markdown, a row per policy: over the whole run."""
    lines = ["| policy | longest prompt | evidence, mean | at the end |", "|---|--:|--:|--:|"]
    for name, looks in found.items():
        mean, longest = sum(look.recall for look in looks) / len(looks), max(look.prompt for look in looks)
        lines.append(f"| {name} | {longest} | {mean:.2f} | {looks[-1].recall:.2f} |")
    return "\n".join(lines)


def growth(found: Mapping[str, Sequence[Look]]) -> str:
    """As Markdown, a row per policy: memories per 100 turns, and the share of them that is active."""
    lines = ["| policy | kept per 100 turns | active, of the first half | of the second half | not active | growth |"]
    lines.append("|---|--:|--:|--:|--:|---|")
    for name, looks in found.items():
        end, (early, late) = looks[-1], shares(looks)
        kept, law = 100 * _kept(end) / end.turns, "sublinear" if sublinear(looks) else "linear"
        lines.append(f"| {name} | {kept:.1f} | {100 * early:.1f} % | {100 * late:.1f} % | {end.resting} | {law} |")
    return "\n".join(lines)


def shares(looks: Sequence[Look]) -> tuple[float, float]:
    """By how much the active memories grew, as a share of the memories that came: until the look in the middle, and
    from there on. Two looks at the least."""
    middle, end = looks[(len(looks) - 1) // 2], looks[-1]
    return middle.active / _kept(middle), (end.active - middle.active) / (_kept(end) - _kept(middle))


def sublinear(looks: Sequence[Look]) -> bool:
    """Whether the same number of turns adds less to the active memories the more there are, by a hundredth at the
    least."""
    early, late = shares(looks)
    return late < _SLOWER * early


def _kept(look: Look) -> int:
    return look.active + look.resting


def curve(found: Mapping[str, Sequence[Look]]) -> str:
    """As Markdown: evidence in the prompt, a column per look."""
    turns = [look.turns for look in next(iter(found.values()))]
    lines = ["| evidence after | " + " | ".join(f"{number}" for number in turns) + " |", "|---|" + "--:|" * len(turns)]
    lines += [f"| {n} | " + " | ".join(f"{look.recall:.2f}" for look in looks) + " |" for n, looks in found.items()]
    return "\n".join(lines)


def plot(path: Path, found: Mapping[str, Sequence[Look]]) -> bool:
    """Evidence and growth side by side; False where there is no matplotlib, which only the workers' environment has."""
    try:
        import matplotlib
    except ModuleNotFoundError:
        return False
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9.6, 3.8), dpi=110)
    for name, looks in found.items():
        turns = [look.turns for look in looks]
        left.plot(turns, [look.recall for look in looks], linewidth=1.6, label=name)
        right.plot(turns, [look.active for look in looks], linewidth=1.6, label=name)
    _labelled(left, "evidence in the prompt", top=1.02)
    _labelled(right, "active memories")
    right.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
    return True


def _labelled(axes: Any, name: str, top: float | None = None) -> None:
    axes.set(xlabel="turns", ylabel=name, ylim=(0, top))
    axes.grid(alpha=0.25)
