"""The policies that are compared, and the engine that runs one of them. Measures nothing."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.vllm.engine import BLOCK, Running, engine

TRAINED = 512
"""Tokens of context that the small model was trained on."""


@dataclass(frozen=True)
class Case:
    """A policy under a name. Lengths in `knobs` are tokens."""

    name: str
    policy: str
    knobs: dict[str, Any] = field(default_factory=dict)


FULL = Case("full", "full")
STREAMS = (
    FULL,
    Case("window", "sink_window", {"sink": 0, "window": 448}),
    Case("sink_window", "sink_window", {"sink": 32, "window": 416}),
    Case("surprisal", "surprisal", {"sink": 32, "window": 256, "budget": 160}),
    Case("block_recall", "block_recall", {"sink": 32, "window": 256, "budget": 160, "when": "always"}),
)
"""What is read is as long for each: 448 tokens beside the query's own block. `duo` is added with its heads."""

SHORT, LONG = 470, 8 * TRAINED - 10
"""Lengths of prompts with a pass key: within the trained context, and beyond it. The answer ends in the question's own
block: what leaves the window while an answer is said is not among what was chosen for it."""

WITHIN = (
    FULL,
    Case("sink_window", "sink_window", {"sink": 32, "window": 96}),
    Case("surprisal", "surprisal", {"sink": 32, "window": 64, "budget": 32}),
    Case("block_recall", "block_recall", {"sink": 32, "window": 96, "budget": 128, "select": "runs"}),
)
BEYOND = (
    FULL,
    Case("sink_window", "sink_window", {"sink": 32, "window": 256}),
    Case("surprisal", "surprisal", {"sink": 32, "window": 128, "budget": 128}),
    Case("block_recall", "block_recall", {"sink": 32, "window": 160, "budget": 192, "select": "runs"}),
)


def duo(name: str, heads: Path, window: int) -> Case:
    """DuoAttention with the heads that `calibrate` found."""
    found = json.loads(heads.read_text())["layers"]
    return Case(name, "duo", {"sink": 32, "window": window, "heads": {int(at): tuple(of) for at, of in found.items()}})


@contextmanager
def running(case: Case, model: Path, longest: int, **options: Any) -> Iterator[Running]:
    """An engine for contexts of `longest` tokens under the case's policy, whose model was trained on TRAINED."""
    given: dict[str, Any] = {
        "max_model_len": longest,
        "num_gpu_blocks_override": 2 * (-(-longest // BLOCK) + 64),
        "max_num_batched_tokens": 512,
        "hf_overrides": {"max_position_embeddings": max(longest, TRAINED)},
        **options,
    }
    trained = TRAINED if case.policy not in {"full", "duo"} else 0
    with engine(model, case.policy, case.knobs, trained=trained, **given) as found:
        yield found
