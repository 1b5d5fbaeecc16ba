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
from tests.bench_kv.model.lessons import Lessons, Part
from tests.bench_kv.model.network import Shape, Weights, fresh, read

STEPS = 2400
_TOKENS = 2048  # read at each step
_TURN, _RATE = 0.012, 2e-3
_WARM, _COOL = 0.02, 0.1  # shares of the way: where the rates are full, and where they begin to fall
_STEEPEST = 1.0  # norm of a gradient, from which on it is shortened
_QUIET = 0.05  # nats that a head pays to add as much as there is, where no key is asked for: so it looks at BOS
_TELL = 50
_FORESEEN = (Part.TEXT, Part.ANSWER)


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the way: up to a share of it, lessons of `length` tokens, of which a share is `asking` for a key."""

    until: float
    length: int
    asking: float


# Short and dense first: heads that look things up form in a tenth of the steps that they need among 512 tokens.
STAGES = (
    Stage(0.10, 80, 1.0),
    Stage(0.20, 128, 0.75),
    Stage(0.30, 192, 0.75),
    Stage(0.42, 256, 0.75),
    Stage(0.55, 384, 0.75),
    Stage(1.00, 512, 0.75),
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
    descent, began, missed = Descent(inside, others, _TURN, _RATE), time.monotonic(), torch.zeros(3)
    for step in count():
        took = time.monotonic() - began
        way = max(step / steps, took / (60 * minutes))
        if step % _TELL == 0 and step:
            said = zip(("text", "answers", "heads"), (missed / _TELL).tolist(), strict=True)
            say(f"{way:4.0%}, step {step}, {took:.0f} s: {', '.join(f'{name} {mean:.3f}' for name, mean in said)}")
            missed.zero_()
        if way >= 1:
            break
        stage = next(stage for stage in STAGES if way < stage.until)
        text, answers, loud = parts = _missed(weights, shape, lessons, stage)
        (text + answers + _QUIET * loud).backward()
        torch.nn.utils.clip_grad_norm_(weights.values(), _STEEPEST)
        descent.step(min(1.0, (way + 1 / steps) / _WARM, (1 - way) / (1 - _COOL)))
        missed += torch.stack(parts).detach()
    return {name: tensor.detach() for name, tensor in weights.items()}


def _missed(weights: Weights, shape: Shape, lessons: Lessons, stage: Stage) -> tuple[Tensor, Tensor, Tensor]:
    """Of a batch: -log p of text and of answers, in nats a token, and the loudness of the heads on text."""
    drawn = [lessons.drawn(stage.length + 1, stage.asking) for _ in range(_TOKENS // stage.length)]
    tokens = torch.tensor([lesson.tokens for lesson in drawn])
    parts = torch.tensor([lesson.parts for lesson in drawn])[:, 1:].flatten()
    scores, loud = read(weights, shape, tokens[:, :-1])
    losses = nn.cross_entropy(scores.flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
    text, answers = (losses[parts == part].sum() / (parts == part).sum().clamp_min(1) for part in _FORESEEN)
    return text, answers, loud.flatten()[parts == Part.TEXT].mean()
