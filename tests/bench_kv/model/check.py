"""`python -m tests.bench_kv.model.check DIR`: what the trained model can do with a part of its keys, in transformers,
which shares no code with any KV policy. It prints; it must never know how the model came to be."""

import argparse
import random
import sys
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

from tests.bench_kv.model.tasks import DIGITS, Passkey, Passkeys, drawn

BLOCK = 32
TRAINED = 512
_ALL = 1 << 40
_DEPTHS, _EACH = 8, 16
_AT_ONCE = 512
_SEED = 5


@dataclass(frozen=True, slots=True)
class Keep:
    """What stays in the cache, in tokens: the first `sinks`, the last `window` before the running block. `moves`: keys
    are turned to their place in the cache (StreamingLLM), so that no distance exceeds what is kept."""

    name: str
    sinks: int
    window: int
    moves: bool
    step: int = BLOCK


FULL = Keep("full", 0, _ALL, False, 512)
WINDOW = Keep("window 256", 0, 256, False)
STILL = Keep("sink 32 + window 256, where they were", 32, 256, False)
MOVED = Keep("sink 32 + window 256, moved", 32, 256, True)
NARROW = Keep("sink 32 + window 96, moved", 32, 96, True)
STREAMS = (FULL, WINDOW, STILL, MOVED, NARROW)
RECALLS = (
    *((FULL, length, False) for length in (96, 128, 256, 384, 512)),
    (NARROW, 512, False),
    (NARROW, 512, True),
    (NARROW, 10 * TRAINED, False),
    (NARROW, 10 * TRAINED, True),
    (MOVED, 10 * TRAINED, True),
)


class Stream:
    """A batch of equally long texts, read a block at a time with what `keep` leaves of the past. The keys and values of
    the blocks whose numbers are in `aside` are put aside and can be fetched."""

    def __init__(self, model: torch.nn.Module, keep: Keep, aside: Container[int] = ()) -> None:
        self._model = model
        self._keep = keep
        self._wanted = aside
        self._aside: dict[int, list[tuple[Tensor, Tensor]]] = {}
        self._cache = DynamicCache()
        self._read = 0

    def read(self, tokens: Tensor) -> Tensor:
        """Read `tokens` [batch, length] in blocks; return log-probabilities [batch, length, vocabulary]."""
        return torch.cat([self.step(part) for part in tokens.split(self._keep.step, dim=1)], dim=1)

    @torch.no_grad()
    def step(self, tokens: Tensor) -> Tensor:
        """Read `tokens` at once, after making room for them."""
        self._cut()
        held, length = self._cache.get_seq_length(), tokens.shape[1]
        start = held if self._keep.moves else self._read
        out = self._model(
            tokens,
            past_key_values=self._cache,
            attention_mask=torch.ones(tokens.shape[0], held + length, dtype=torch.long),
            position_ids=torch.arange(start, start + length)[None],
        )
        if (number := self._read // BLOCK) in self._wanted:
            back = -start if self._keep.moves else 0
            new = [(turned(layer.keys[:, :, held:], back), layer.values[:, :, held:]) for layer in self._cache.layers]
            self._aside[number] = new
        self._read += length
        return out.logits.log_softmax(-1)

    def fetch(self) -> None:
        """Put what was put aside, and has left the cache since, between the sinks and the window. From now on nothing
        leaves the cache."""
        self._cut()
        place = self._keep.sinks
        for number, block in self._aside.items():
            if not self._keep.sinks <= number * BLOCK < self._read - self._keep.window:
                continue
            there, later = (place, BLOCK) if self._keep.moves else (0, 0)
            for layer, (keys, values) in zip(self._cache.layers, block, strict=True):
                head, tail = layer.keys[:, :, :place], layer.keys[:, :, place:]
                layer.keys = torch.cat([head, turned(keys, there), turned(tail, later)], dim=2)
                layer.values = torch.cat([layer.values[:, :, :place], values, layer.values[:, :, place:]], dim=2)
            place += BLOCK
        self._keep = replace(self._keep, window=_ALL)

    def _cut(self) -> None:
        sinks, window = self._keep.sinks, self._keep.window
        gone = self._cache.get_seq_length() - sinks - window
        if gone <= 0:
            return
        for layer in self._cache.layers:
            tail = turned(layer.keys[:, :, -window:], -gone if self._keep.moves else 0)
            layer.keys = torch.cat([layer.keys[:, :, :sinks], tail], dim=2)
            layer.values = torch.cat([layer.values[:, :, :sinks], layer.values[:, :, -window:]], dim=2)


def turned(keys: Tensor, by: int, theta: float = 10_000.0) -> Tensor:
    """Keys [..., head] after RoPE as they would be `by` positions later."""
    size = keys.shape[-1]
    angles = by * theta ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)
    cos, sin = (part.repeat(2).to(keys.dtype) for part in (angles.cos(), angles.sin()))
    first, second = keys.chunk(2, dim=-1)
    return keys * cos + torch.cat([-second, first], dim=-1) * sin


def surprise(model: torch.nn.Module, keep: Keep, text: Sequence[int]) -> Tensor:
    """-log p of each token of `text` but the first, in nats, when it is read as one stream."""
    stream, whole = Stream(model, keep), torch.tensor([text])
    parts = []
    for start in range(0, len(text) - 1, _AT_ONCE):
        follows = whole[:, start + 1 : start + 1 + _AT_ONCE]
        said = stream.read(whole[:, start : start + follows.shape[1]])
        parts.append(-said.gather(-1, follows[:, :, None])[0, :, 0])
    return torch.cat(parts)


@torch.no_grad()
def fresh_windows(model: torch.nn.Module, text: Sequence[int], before: int) -> Tensor:
    """The same with full attention in windows of `TRAINED`, each with BOS in front. Of a window, all but its first
    `before` tokens count, which stood in the one before too."""
    found = []
    for start in range(1, len(text), TRAINED - 1 - before):
        first = max(1, start - before)
        window = torch.tensor([[text[0], *text[first : start + TRAINED - 1 - before]]])
        said = model(window[:, :-1]).logits.log_softmax(-1)
        found.append(-said.gather(-1, window[:, 1:, None])[0, start - first :, 0])
    return torch.cat(found)


def recalled(model: torch.nn.Module, keep: Keep, prompts: Sequence[Passkey], fetch: bool) -> int:
    """How many of the prompts, equally long and with their needle at the same place, are answered digit for digit. With
    `fetch`, the needle's blocks come back before the last block, which holds the question."""
    needle = prompts[0].needle
    wanted = range(needle.start // BLOCK, (needle.stop - 1) // BLOCK + 1) if fetch else ()
    stream = Stream(model, keep, wanted)
    tokens = torch.tensor([prompt.prompt for prompt in prompts])
    stream.read(tokens[:, :-BLOCK])
    stream.fetch()
    said = [stream.step(tokens[:, -BLOCK:])[:, -1:].argmax(-1)]
    while len(said) < DIGITS:
        said.append(stream.step(said[-1])[:, -1:].argmax(-1))
    right = torch.cat(said, dim=1) == torch.tensor([prompt.answer for prompt in prompts])
    return int(right.all(dim=1).sum())


def main() -> int:
    """Parse, ask, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench_kv.model.check", description=__doc__)
    parser.add_argument("folder", type=Path, help="what python -m tests.bench_kv.model wrote")
    parser.add_argument("--times", type=int, default=100, help="length of the stream over the trained one")
    options = parser.parse_args()
    model = AutoModelForCausalLM.from_pretrained(options.folder, dtype=torch.float32).eval()
    words = AutoTokenizer.from_pretrained(options.folder)
    text = words.encode((options.folder / "held_out.txt").read_text())[: options.times * TRAINED + 1]
    _print_surprise(model, text)
    passkeys = Passkeys(lambda said: words.encode(said, add_special_tokens=False), words.bos_token_id)
    _print_recall(model, passkeys, text[1:])
    return 0


def _print_surprise(model: torch.nn.Module, text: Sequence[int]) -> None:
    ends = [end for end in (TRAINED, 10 * TRAINED, len(text) - 1) if end < len(text)]
    print(f"{'perplexity of tokens up to':44}", *(f"{end:>9,}" for end in ends))

    def told(name: str, missed: Tensor) -> None:
        parts = (missed[start:end].mean().exp().item() for start, end in pairwise([0, *ends]))
        print(f"{name:44}", *(f"{part:9.2f}" for part in parts), flush=True)

    told("full attention, anew every 512", fresh_windows(model, text, 0))
    told("full attention, anew every 256, behind 256", fresh_windows(model, text, TRAINED // 2))
    for keep in STREAMS:
        told(keep.name, surprise(model, keep, text))


def _print_recall(model: torch.nn.Module, passkeys: Passkeys, filler: Sequence[int]) -> None:
    chance = random.Random(_SEED)
    print(f"\n{'pass keys, by depth in eighths':52}", *(f"{depth + 1:>4}" for depth in range(_DEPTHS)), "   all")
    for keep, length, fetch in RECALLS:
        found = []
        for depth in range(_DEPTHS):
            drawn_at = (chance.randrange(len(filler) - length) for _ in range(_EACH))
            share = (depth + 0.5) / _DEPTHS
            prompts = [passkeys.deep(filler[at : at + length], drawn(chance), length, share) for at in drawn_at]
            found.append(recalled(model, keep, prompts, fetch) / _EACH)
        name = f"{keep.name}, {length:,} tokens{', needle fetched' * fetch}"
        print(f"{name:52}", *(f"{share:4.0%}" for share in found), f"{sum(found) / _DEPTHS:6.1%}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
