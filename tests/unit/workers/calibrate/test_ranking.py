"""Choosing by score: heads wherever they are, or whole layers."""

import pytest

from workers.calibrate.ranking import best_heads, best_layers

SCORES = [[0.1, 0.9], [0.3, 0.2], [0.0, 0.0], [0.8, 0.4]]


@pytest.mark.parametrize(
    ("share", "heads"), [(0.25, {0: [1], 3: [0]}), (0.5, {0: [1], 1: [0], 3: [0, 1]}), (0.01, {0: [1]})]
)
def test_the_best_heads_are_taken_wherever_they_are(share: float, heads: dict[int, list[int]]) -> None:
    """As many as the share says, at least one; layers without any are left out."""
    assert best_heads(SCORES, share) == heads


@pytest.mark.parametrize(("share", "layers"), [(0.25, [0]), (0.5, [0, 3]), (0.75, [0, 1, 3])])
def test_a_layer_is_worth_its_best_head(share: float, layers: list[int]) -> None:
    """Whole layers, with all their heads."""
    assert best_layers(SCORES, share) == {layer: [0, 1] for layer in layers}
