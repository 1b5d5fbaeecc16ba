"""Slices of `make bench-memory`: what it says of hashes and curves holds."""

import pytest

from gateway.memory.policies.fading import Ebbinghaus
from tests.bench_memory import curves, lsh


@pytest.mark.parametrize(("buckets", "cosine", "share"), [(16, 0.8, 0.46), (64, 0.8, 0.35), (256, 0.8, 0.26)])
def test_few_true_matches_share_a_bucket(buckets: int, cosine: float, share: float) -> None:
    """As it was computed for the paper's table."""
    assert lsh.shared(buckets, cosine, 1000) == pytest.approx(share, abs=0.06)


def test_the_same_vector_shares_its_bucket() -> None:
    """And fewer do, the less alike they are."""
    shares = [lsh.shared(16, cosine, 500) for cosine in (1.0, 0.9, 0.5, 0.0)]

    assert shares[0] == 1.0 and shares == sorted(shares, reverse=True)


def test_the_table_of_curves_has_both_laws() -> None:
    """Ours keeps what is strong, the printed one loses it."""
    assert curves.left(Ebbinghaus(), 7, 5) > 0.7 > 0.01 > curves.printed(7, 5)
    assert curves.table().count("\n") == 10
