"""Perplexity over one long stream, StreamingLLM's figure: what each policy makes of text far beyond the trained length.
Asks the real engine; knows no policy's workings."""

from collections.abc import Sequence
from pathlib import Path

import torch

from tests.bench_kv.cases import TRAINED, Case, running
from tests.bench_kv.model.check import fresh_windows

TIMES = 100


def surprise(case: Case, model: Path, tokens: Sequence[int]) -> list[float]:
    """−log p of each token of the stream but the first, in nats."""
    from vllm import SamplingParams

    with running(case, model, len(tokens) + 1) as engine:
        (output,) = engine.generate([tokens], SamplingParams(temperature=0, max_tokens=1, prompt_logprobs=0))
    return [-scores[token].logprob for token, scores in zip(tokens[1:], output.prompt_logprobs[1:], strict=True)]


def in_window(model: Path, tokens: Sequence[int]) -> list[float]:
    """The same with full attention in fresh windows of the trained length, each scored in its second half: what the
    model can do where it was trained, in transformers."""
    from transformers import AutoModelForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    found: list[float] = fresh_windows(loaded, tokens, TRAINED // 2).tolist()
    return found


def perplexity(surprises: Sequence[float], start: int, stop: int) -> float:
    """Of the tokens [start, stop)."""
    part = surprises[start:stop]
    return float(torch.tensor(part, dtype=torch.float64).mean().exp())
