"""Policies to be tried, prompts for them, and how an engine's answers are held against the reference."""

import random
from pathlib import Path
from typing import Any

from tests.vllm.engine import BLOCK, Running
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
