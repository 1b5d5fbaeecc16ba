"""Which KV heads retrieve, by their scores. Pure; knows neither model nor probe."""

from collections.abc import Sequence

Scores = Sequence[Sequence[float]]
"""One row per layer, one number per KV head."""

Chosen = dict[int, list[int]]
"""Layer → its KV heads that keep everything, ascending; layers without one are left out."""


def best_heads(scores: Scores, share: float) -> Chosen:
    """The best `share` of all heads, wherever they are; of equals, the first. At least one."""
    ranked = sorted(
        ((layer, head) for layer, row in enumerate(scores) for head in range(len(row))),
        key=lambda at: -scores[at[0]][at[1]],
    )
    found: Chosen = {}
    for layer, head in sorted(ranked[: _number(share, len(ranked))]):
        found.setdefault(layer, []).append(head)
    return found


def best_layers(scores: Scores, share: float) -> Chosen:
    """The best `share` of the layers, whole: a layer is as good as its best head. At least one."""
    ranked = sorted(range(len(scores)), key=lambda layer: -max(scores[layer]))
    return {layer: list(range(len(scores[layer]))) for layer in sorted(ranked[: _number(share, len(ranked))])}


def _number(share: float, of: int) -> int:
    return max(1, round(share * of))
