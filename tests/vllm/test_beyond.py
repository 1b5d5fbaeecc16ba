"""Every way of choosing, heads that differ, and streams beyond the trained context: against the same reference."""

from pathlib import Path
from typing import Any

import pytest

from tests.vllm.comparing import CLOSE, POLICIES, SMALL, answered, prompts
from tests.vllm.engine import engine

OTHERS: list[tuple[str, dict[str, Any]]] = [
    ("block_recall", {**SMALL, "budget": 96, "when": "question"}),
    ("block_recall", {**SMALL, "budget": 128, "when": "question", "select": "mass", "mass": 0.7}),
    ("block_recall", {**SMALL, "budget": 128, "when": "always", "select": "coverage"}),
    ("duo", {**SMALL, "heads": {0: (0,), 1: (1,), 3: (0, 1)}}),
]
TRAINED = 256


@pytest.mark.parametrize(("policy", "knobs"), OTHERS)
def test_every_way_of_choosing_is_exact(tiny: Path, policy: str, knobs: dict[str, Any]) -> None:
    """By mass or coverage, once for a question, or with retrieval and streaming heads in one layer."""
    with engine(tiny, policy, knobs, num_gpu_blocks_override=260) as running:
        compared, worst, wrong = answered(running, tiny, prompts(seed=4, number=6), longest=120)

    assert compared >= 300
    assert (worst <= CLOSE, wrong) == (True, 0), worst


@pytest.mark.parametrize("chunk", [96, 1024])
@pytest.mark.parametrize("policy", ["sink_window", "surprisal", "modality_window", "block_recall"])
def test_beyond_the_trained_context_what_lies_apart_moves_up(tiny: Path, policy: str, chunk: int) -> None:
    """Streams of four times the trained length: keys read where the rule says, whatever the steps were."""
    knobs = {**POLICIES[policy], **({"budget": 64} if "budget" in POLICIES[policy] else {})}
    with engine(
        tiny, policy, knobs, trained=TRAINED, num_gpu_blocks_override=160, max_num_batched_tokens=chunk
    ) as running:
        compared, worst, wrong = answered(running, tiny, prompts(seed=3, number=6))

    assert compared >= 600
    assert (worst <= CLOSE, wrong) == (True, 0), worst
