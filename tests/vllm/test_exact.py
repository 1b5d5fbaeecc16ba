"""Every policy, in the real engine, against Hugging Face under the policy's own retained sets, token by token."""

import random
from pathlib import Path
from typing import Any

import pytest

from tests.vllm.engine import BLOCK, Running, engine
from tests.vllm.reference import (
    Moved,
    Visible,
    by_policy,
    by_reads,
    logprobs,
    moves_by_policy,
    moves_by_reads,
    moves_of_back,
    with_back,
)
from tests.vllm.tiny import KV_HEADS

CLOSE = 1e-4
SMALL = {"sink": 32, "window": 64}
VISION = {**SMALL, "vision_window": 32, "vision_tokens": (11, 12, 13)}
POLICIES: dict[str, dict[str, Any]] = {
    "full": {},
    "sink_window": SMALL,
    "surprisal": {**SMALL, "budget": 64, "decay": 0.9, "turn_token": 20},
    "modality_window": VISION,
    "duo": {**SMALL, "heads": {0: (0, 1), 2: (0, 1)}},
    "block_recall": {**SMALL, "budget": 96, "when": "always"},
}
OTHERS: list[tuple[str, dict[str, Any]]] = [
    ("block_recall", {**SMALL, "budget": 96, "when": "question"}),
    ("block_recall", {**SMALL, "budget": 128, "when": "question", "select": "mass", "mass": 0.7}),
    ("block_recall", {**SMALL, "budget": 128, "when": "always", "select": "coverage"}),
    ("duo", {**SMALL, "heads": {0: (0,), 1: (1,), 3: (0, 1)}}),
]
LAYOUTS: dict[str, dict[str, Any]] = {
    "one-chunk-wide-pool": {"num_gpu_blocks_override": 400, "max_num_batched_tokens": 1024},
    "many-chunks-tight-pool": {
        "num_gpu_blocks_override": 80,
        "max_num_batched_tokens": 96,
        "max_num_seqs": 4,
        "max_model_len": 1024,
    },
}
TRAINED = 256


def prompts(seed: int, number: int = 14) -> list[list[int]]:
    """Prompts of 5 to 700 tokens, most of which share a beginning."""
    chance = random.Random(seed)
    shared = [0] + [chance.randrange(10, 330) for _ in range(400)]
    return [
        shared[: max(1, chance.choice([0, 100, 257, 400]))]
        + [chance.randrange(10, 330) for _ in range(chance.randrange(5, 300))]
        for _ in range(number)
    ]


def compare(running: Running, model: Path, asked: list[list[int]], outputs: list[Any]) -> tuple[int, float, int]:
    """Tokens compared, the largest difference in log p, and how many tokens were not the reference's own choice.

    Where KV depends on the steps that were taken, tokens are compared from the last time on that a request started
    over.
    """
    worst, wrong, compared = 0.0, 0, 0
    for prompt, output in zip(asked, outputs, strict=True):
        for sample in output.outputs:
            child = output.request_id if len(output.outputs) == 1 else f"{sample.index}_{output.request_id}"
            new = list(sample.token_ids)
            tokens = [*prompt, *new]
            scores = logprobs(model, tokens, *reading(running, child, tokens))
            first = 0 if running.policy.SHAREABLE else max(0, restarted(running.read_by(child)) - len(prompt))
            for at in range(first, len(new)):
                told = next(iter(sample.logprobs[at].values())).logprob
                worst = max(worst, abs(float(scores[len(prompt) - 1 + at, new[at]]) - told))
                wrong += int(scores[len(prompt) - 1 + at].argmax()) != new[at]
            compared += len(new) - first
    return compared, worst, wrong


def restarted(reads: list[tuple[int, int, Any]]) -> int:
    """How many tokens the request had, sampled ones included, when it last started over; 0 if it never did."""
    tokens, found = 0, 0
    for start, stop, _ in reads:
        if start < tokens:
            found = max(found, tokens + 1)  # the last one had been sampled, not yet computed
        tokens = max(tokens, stop)
    return found


def reading(running: Running, request_id: str, tokens: list[int]) -> tuple[Visible, list[Moved]]:
    """What the reference must see: from the policy alone where it can be told, else from what the engine really
    read."""
    if not running.policy.POSITIONAL:
        reads = running.read_by(request_id)
        return by_reads(reads, BLOCK, len(tokens)), moves_by_reads(reads, BLOCK, running.policy, running.trained)
    visible = by_policy(running.choice, BLOCK, tokens, KV_HEADS)
    moves = moves_by_policy(running.choice, BLOCK, tokens, running.trained)
    back = running.back_to(request_id)
    return (
        (with_back(visible, back, BLOCK), moves + moves_of_back(back, BLOCK, running.policy, running.trained))
        if back
        else (visible, moves)
    )


def answered(running: Running, model: Path, asked: list[list[int]], longest: int = 250) -> tuple[int, float, int]:
    """Ask everything at once, then compare."""
    from vllm import SamplingParams

    lengths = random.Random(5)
    params = [
        SamplingParams(temperature=0, max_tokens=lengths.randrange(60, longest), ignore_eos=True, logprobs=0)
        for _ in asked
    ]
    return compare(running, model, asked, running.generate(asked, params))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("policy", POLICIES)
def test_answers_are_those_of_masked_attention(tiny: Path, policy: str, layout: str) -> None:
    """2,000 tokens and more, concurrent, shared beginnings: the reference's log p within 1e-4, its choice every
    time."""
    with engine(tiny, policy, POLICIES[policy], **LAYOUTS[layout]) as running:
        compared, worst, wrong = answered(running, tiny, prompts(seed=3))

    assert compared >= 2000
    assert (worst <= CLOSE, wrong) == (True, 0), worst


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
