"""Results as tables and plots: pure drawing, of numbers that others measured. Judges nothing."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

COLOURS = {
    "full": "#4c566a",
    "window": "#bf616a",
    "sink_window": "#2e7d32",
    "surprisal": "#b8860b",
    "duo": "#6a51a3",
    "block_recall": "#1565c0",
    "recompute": "#bf616a",
}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; numbers to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def smoothed(surprises: Sequence[float], edges: Sequence[int]) -> list[float]:
    """Perplexity of each stretch between two edges."""
    import math

    return [math.exp(sum(surprises[a:b]) / (b - a)) for a, b in pairwise(edges)]


def plot_streams(streams: Mapping[str, Sequence[float]], reference: float, trained: int, path: Path) -> None:
    """Perplexity over position, both axes logarithmic; a line for what the model can do inside its context."""
    figure, axes = _figure()
    for name, surprises in streams.items():
        edges = [edge for edge in _edges(len(surprises)) if edge <= len(surprises)]
        middles = [(a + b) / 2 for a, b in pairwise(edges)]
        axes.plot(middles, smoothed(surprises, edges), label=name, color=COLOURS.get(name), linewidth=1.8)
    axes.axhline(reference, color="#888888", linestyle=":", linewidth=1.2, label="full, inside its context")
    axes.axvline(trained, color="#888888", linewidth=0.8)
    axes.set(xscale="log", yscale="log", xlabel="tokens of the stream", ylabel="perplexity")
    axes.set_yticks([20, 30, 50, 100, 200], ["20", "30", "50", "100", "200"])
    axes.minorticks_off()
    _save(figure, axes, path)


def plot_passkeys(found: Mapping[str, Sequence[float]], title: str, path: Path) -> None:
    """Share of pass keys found, by depth."""
    figure, axes = _figure()
    for name, shares in found.items():
        depths = [(at + 0.5) / len(shares) for at in range(len(shares))]
        axes.plot(depths, shares, label=name, color=COLOURS.get(name), marker="o", linewidth=1.8)
    axes.set(ylim=(-0.03, 1.03), xlabel="depth of the pass key (0: first, 1: just before the question)", title=title)
    axes.set_ylabel("found")
    _save(figure, axes, path)


def plot_costs(costs: Mapping[str, Sequence[Any]], path: Path) -> None:
    """Decode time over context."""
    figure, axes = _figure()
    for name, points in costs.items():
        contexts = [point.context for point in points]
        axes.plot(
            contexts,
            [point.decode_ms for point in points],
            label=name,
            color=COLOURS.get(name),
            marker="o",
            linewidth=1.8,
        )
    axes.set(xscale="log", yscale="log", xlabel="tokens of context", ylabel="CPU ms per decoded token")
    _save(figure, axes, path)


def _edges(number: int) -> list[int]:
    edges, edge = [0], 256.0
    while edge < number:
        edges.append(int(edge))
        edge *= 1.4
    return [*edges, number] if number - edges[-1] > edges[-1] // 6 else [*edges[:-1], number]


def _figure() -> Any:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot.subplots(figsize=(7.2, 4.2), dpi=110)


def _save(figure: Any, axes: Any, path: Path) -> None:
    axes.grid(visible=True, which="major", color="#dddddd", linewidth=0.6)
    axes.legend(frameon=False, fontsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
