"""Pass keys by depth: can what a policy left be found again? Asks the real engine; knows no policy's workings."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench_kv.cases import Case, running
from tests.bench_kv.model.tasks import DIGITS, Passkey, Passkeys, drawn

DEPTHS = 8
_SEED = 5


@dataclass(frozen=True)
class Found:
    """Shares of pass keys that were said digit for digit, by depth; `kv`: bytes of the pool that one prompt held."""

    name: str
    by_depth: tuple[float, ...]
    kv: int

    @property
    def whole(self) -> float:
        """Over all depths."""
        return sum(self.by_depth) / len(self.by_depth)


def prompts(model: Path, filler: Sequence[int], length: int, each: int) -> list[list[Passkey]]:
    """`each` prompts for each depth, the same every time."""
    from transformers import AutoTokenizer

    words = AutoTokenizer.from_pretrained(model)
    made = Passkeys(lambda said: words.encode(said, add_special_tokens=False), words.bos_token_id)
    chance = random.Random(_SEED)

    def one(depth: int) -> Passkey:
        at = chance.randrange(len(filler) - length)
        return made.deep(filler[at : at + length], drawn(chance), length, (depth + 0.5) / DEPTHS)

    return [[one(depth) for _ in range(each)] for depth in range(DEPTHS)]


def ask(case: Case, model: Path, asked: Sequence[Sequence[Passkey]], length: int) -> Found:
    """Every prompt at once, the key greedily."""
    from vllm import SamplingParams

    params = SamplingParams(temperature=0, max_tokens=DIGITS, ignore_eos=True)
    flat = [key for depth in asked for key in depth]
    pool = 8 * (length // 32 + 16)
    with running(case, model, length + DIGITS + 1, num_gpu_blocks_override=pool) as engine:
        outputs = engine.generate([key.prompt for key in flat], params)
        kv = engine.held_by(flat[0].prompt) * engine.block_bytes
    right = [list(output.outputs[0].token_ids) == key.answer for output, key in zip(outputs, flat, strict=True)]
    each = len(asked[0])
    shares = tuple(sum(right[at : at + each]) / each for at in range(0, len(right), each))
    return Found(case.name, shares, kv)
