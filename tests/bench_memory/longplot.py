"""What a long run found: kept as JSON, told as tables, drawn. Needs no gateway, so that plots can be drawn where
matplotlib is."""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]
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
    lines = ["| policy | longest prompt | evidence, mean | at the end | active per 1,000 turns | not active |"]
    lines.append("|---|--:|--:|--:|--:|--:|")
    for name, looks in found.items():
        end, mean = looks[-1], sum(look.recall for look in looks) / len(looks)
        grown = 1000 * end.active / end.turns
        longest = max(look.prompt for look in looks)
        lines.append(f"| {name} | {longest} | {mean:.2f} | {end.recall:.2f} | {grown:.0f} | {end.resting} |")
    return "\n".join(lines)


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
