"""The training: which lessons come when, and how far each step goes. It must never know where the text came from or
where the weights go."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

import torch
from torch import Tensor
from torch.nn import functional as nn

from tests.bench_kv.model.descent import Descent
from tests.bench_kv.model.lessons import Lessons
from tests.bench_kv.model.network import Shape, Weights, fresh, logits

STEPS = 1600
_TOKENS = 2048  # read at each step
_TURN, _RATE = 0.02, 3e-3
_WARM, _COOL = 0.02, 0.6  # shares of the way: where the rates are full, and where they begin to fall
_STEEPEST = 1.0  # norm of a gradient, from which on it is shortened
_TELL = 50


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the way: up to a share of it, lessons of `length` tokens, of each kind in proportion."""

    until: float
    length: int
    reading: int
    repeating: int
    asking: int


# Short and dense first: heads that look things up form in a tenth of the steps that they need among 512 tokens.
STAGES = (
    Stage(0.12, 80, 0, 0, 1),
    Stage(0.24, 128, 3, 2, 5),
    Stage(0.40, 256, 4, 2, 4),
    Stage(1.00, 512, 6, 1, 3),
)


def trained(
    lessons: Lessons, shape: Shape, steps: int, minutes: float, seed: int, say: Callable[[str], None]
) -> Weights:
    """Weights after `steps` steps, the same for the same seed, number of threads and machine; or after `minutes`, if
    that comes first: then each stage is as much shorter, and the outcome depends on the machine's speed."""
    torch.manual_seed(seed)
    weights = {name: tensor.requires_grad_() for name, tensor in fresh(shape).items()}
    inside = [tensor for name, tensor in weights.items() if tensor.dim() == 2 and "layers" in name]
    others = [tensor for name, tensor in weights.items() if tensor.dim() == 1 or "layers" not in name]
    descent, began, losses = Descent(inside, others, _TURN, _RATE), time.monotonic(), 0.0
    for step in count():
        took = time.monotonic() - began
        way = max(step / steps, took / (60 * minutes))
        if step % _TELL == 0 and step:
            say(f"step {step} of {steps}, {way:.0%} of the way, {took:.0f} s: loss {losses / _TELL:.3f}")
            losses = 0.0
        if way >= 1:
            break
        loss = _loss(weights, shape, lessons, next(stage for stage in STAGES if way < stage.until))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights.values(), _STEEPEST)
        descent.step(min(1.0, (way + 1 / steps) / _WARM, (1 - way) / (1 - _COOL)))
        losses += loss.item()
    return {name: tensor.detach() for name, tensor in weights.items()}


def _loss(weights: Weights, shape: Shape, lessons: Lessons, stage: Stage) -> Tensor:
    mix = (stage.reading, stage.repeating, stage.asking)
    drawn = [lessons.drawn(stage.length + 1, mix) for _ in range(_TOKENS // stage.length)]
    tokens = torch.tensor([lesson.tokens for lesson in drawn])
    counts = torch.tensor([lesson.weights for lesson in drawn])[:, 1:].flatten()
    scores = logits(weights, shape, tokens[:, :-1])
    missed = nn.cross_entropy(scores.flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
    return (missed * counts).sum() / counts.sum()
