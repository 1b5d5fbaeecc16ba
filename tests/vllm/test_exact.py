"""Every policy, in the real engine, against Hugging Face under the policy's own retained sets, token by token."""

from pathlib import Path
from typing import Any

import pytest

from tests.vllm.comparing import CLOSE, POLICIES, answered, prompts
from tests.vllm.engine import engine

LAYOUTS: dict[str, dict[str, Any]] = {
    "one-chunk-wide-pool": {"num_gpu_blocks_override": 400, "max_num_batched_tokens": 1024},
    "many-chunks-tight-pool": {
        "num_gpu_blocks_override": 80,
        "max_num_batched_tokens": 96,
        "max_num_seqs": 4,
        "max_model_len": 1024,
    },
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("policy", POLICIES)
def test_answers_are_those_of_masked_attention(tiny: Path, policy: str, layout: str) -> None:
    """2,000 tokens and more, concurrent, shared beginnings: the reference's log p within 1e-4, its choice every
    time."""
    with engine(tiny, policy, POLICIES[policy], **LAYOUTS[layout]) as running:
        compared, worst, wrong = answered(running, tiny, prompts(seed=3))

    assert compared >= 2000
    assert (worst <= CLOSE, wrong) == (True, 0), worst
