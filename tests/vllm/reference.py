"""The same model in Hugging Face, with attention written out: what an engine's answer is held against. A mask for each
layer and head, and keys that are read elsewhere than they stand."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import torch
from transformers import AttentionInterface, LlamaForCausalLM

from workers.kv.choice import Choice
from workers.kv.positions import apart, moved, shift
from workers.kv.stream import Retained, Stream, runs

Visible = Callable[[int, int], torch.Tensor]
"""(layer, KV head) → bool [tokens, tokens]: may this query see this key? Causality is added."""

_NAME = "written_out"


@dataclass(frozen=True)
class Moved:
    """For the query tokens `queries`, KV head `head` of `layer` (None: all) reads `keys` as if they stood `by`
    later."""

    queries: range
    keys: range
    by: int
    layer: int | None = None
    head: int | None = None


class _Attention:
    """The one attention of the reference; what it obeys is set for each run."""

    visible: Visible
    moves: Sequence[Moved] = ()

    def __call__(self, module: Any, query: Any, key: Any, value: Any, _mask: Any, scaling: float, **_: Any) -> Any:
        groups, number = module.num_key_value_groups, query.shape[2]
        scores = query @ key.repeat_interleave(groups, 1).transpose(2, 3) * scaling
        base = float(module.config.rope_parameters["rope_theta"])
        for move in self.moves:
            if move.layer in (None, module.layer_idx):
                keys = slice(move.keys.start, move.keys.stop)
                rows = slice(move.queries.start, move.queries.stop)
                turned = _turned(key[:, :, keys], move.by, base).repeat_interleave(groups, 1)
                heads = slice(None) if move.head is None else slice(move.head * groups, (move.head + 1) * groups)
                found = query[:, heads, rows] @ turned[:, heads].transpose(2, 3) * scaling
                scores[:, heads, rows, keys] = found
        causal = torch.ones(number, number, dtype=torch.bool).tril()
        seen = torch.stack([self.visible(module.layer_idx, head) & causal for head in range(key.shape[1])])
        scores = scores.masked_fill(~seen.repeat_interleave(groups, 0), torch.finfo(torch.float32).min)
        weights = scores.softmax(-1)
        return (weights @ value.repeat_interleave(groups, 1)).transpose(1, 2).contiguous(), weights


_ATTENTION = _Attention()
AttentionInterface.register(_NAME, _ATTENTION)


def _turned(key: torch.Tensor, by: int, base: float) -> torch.Tensor:
    """Keys by RoPE's angles for `by` tokens, in double precision."""
    half = key.shape[-1] // 2
    angles = by * base ** (-torch.arange(half, dtype=torch.float64) / half)
    first, second = key.double().chunk(2, -1)
    cosine, sine = angles.cos(), angles.sin()
    return torch.cat((first * cosine - second * sine, second * cosine + first * sine), -1).to(key.dtype)


@lru_cache(maxsize=4)
def _model(folder: Path) -> Any:
    return LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation=_NAME).eval()


@contextmanager
def _obeying(visible: Visible, moves: Sequence[Moved]) -> Iterator[None]:
    _ATTENTION.visible, _ATTENTION.moves = visible, moves
    yield


def logprobs(folder: Path, tokens: Sequence[int], visible: Visible, moves: Sequence[Moved] = ()) -> torch.Tensor:
    """log p of every vocabulary entry after each token: float32 [tokens, vocabulary]."""
    with _obeying(visible, moves), torch.no_grad():
        positions = torch.arange(len(tokens))[None]
        whole = _model(folder)(torch.tensor([tokens]), position_ids=positions, use_cache=False)
    scores: torch.Tensor = whole.logits[0].log_softmax(-1)
    return scores


def by_policy(choice: Choice, block: int, tokens: Sequence[int], kv_heads: int) -> Visible:
    """What a positional policy says, from the tokens alone."""
    policy = choice.policy(block)
    stream = _stream(choice, block, tokens)

    @cache
    def visible(layer: int, head: int) -> torch.Tensor:
        own = policy.at(layer, kv_heads)[head]
        return _mask(len(tokens), block, [own.retained(query, stream) for query in range(-(-len(tokens) // block))])

    return visible


def moves_by_policy(choice: Choice, block: int, tokens: Sequence[int], trained: int) -> list[Moved]:
    """What stands elsewhere beyond the trained context, from the tokens alone."""
    policy, stream = choice.policy(block), _stream(choice, block, tokens)
    found = []
    for query in range(-(-len(tokens) // block)):
        up = shift(query, policy, block, trained)
        for move in moved(apart(policy.retained(query, stream)), up, block) if up else []:
            queries = range(query * block, min((query + 1) * block, len(tokens)))
            found.append(Moved(queries, range(move.block * block, (move.block + 1) * block), move.by))
    return found


def by_reads(reads: Sequence[tuple[int, int, Retained]], block: int, number: int) -> Visible:
    """What an engine really read: (start, stop, blocks) of each piece; a position read again counts as the last
    time."""
    seen = torch.eye(number, dtype=torch.bool)
    for start, stop, retained in reads:
        seen[start:stop] = False
        for part in retained:
            seen[start:stop, part.start * block : part.stop * block] = True
    return lambda layer, head: seen


def with_back(visible: Visible, back: Sequence[Any], block: int) -> Visible:
    """The same, and the absent blocks that came back, layer by layer and KV head by KV head."""

    @cache
    def wider(layer: int, head: int) -> torch.Tensor:
        seen, last = visible(layer, head).clone(), 0
        for part in back:
            if _layer(part) == layer:
                if part.start < last:  # it started over
                    seen[part.start :] = visible(layer, head)[part.start :]
                last = part.stop
                for number in part.blocks[head]:
                    seen[part.start : part.stop, number * block : (number + 1) * block] = True
        return seen

    return wider


def moves_by_reads(reads: Sequence[tuple[int, int, Retained]], block: int, policy: Any, trained: int) -> list[Moved]:
    """What stood elsewhere in the steps that an engine really took."""
    found = []
    for start, stop, retained in reads:
        up = shift((stop - 1) // block, policy, block, trained)
        for move in moved(apart(retained), up, block) if up else []:
            found.append(Moved(range(start, stop), range(move.block * block, (move.block + 1) * block), move.by))
    return found


def moves_of_back(back: Sequence[Any], block: int, policy: Any, trained: int) -> list[Moved]:
    """Where the blocks that came back stood: behind the sinks."""
    found = []
    for part in back:
        query = (part.stop - 1) // block
        up = shift(query, policy, block, trained)
        first = len(apart(policy.retained(query, Stream())))
        for head, numbers in enumerate(part.blocks):
            for move in moved(numbers, up, block, first) if up else []:
                keys = range(move.block * block, (move.block + 1) * block)
                found.append(Moved(range(part.start, part.stop), keys, move.by, _layer(part), head))
    return found


def _layer(part: Any) -> int:
    return int(part.layer.split(".")[2])


def _stream(choice: Choice, block: int, tokens: Sequence[int]) -> Stream:
    vision = frozenset(choice.knobs.vision_tokens or ())
    return Stream(vision=runs(sorted({at // block for at, token in enumerate(tokens) if token in vision})))


def _mask(number: int, block: int, reads: Sequence[Retained]) -> torch.Tensor:
    seen = torch.zeros(number, number, dtype=torch.bool)
    for query, retained in enumerate(reads):
        rows = slice(query * block, (query + 1) * block)
        for part in retained:
            seen[rows, part.start * block : part.stop * block] = True
    return seen
