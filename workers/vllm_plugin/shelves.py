"""The blocks that requests may have back, layer by layer, and which ones they got. Lives in a worker process; told
by the scheduler what leaves, asked by the copies what to lay. Decides no retention."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from workers.kv.choosing import choose, scored
from workers.kv.policies.base import Policy
from workers.kv.policies.block_recall import BlockRecall
from workers.kv.shelf import Shelf
from workers.kv.turning import turned
from workers.vllm_plugin.layout import LAYOUT
from workers.vllm_plugin.step import Plan


@dataclass(frozen=True, slots=True)
class Rope:
    """`table` [positions, 2 × half]: cosines and sines as vLLM keeps them; `neox`: halves are paired, else
    neighbours."""

    table: torch.Tensor
    neox: bool

    def moved(self, keys: torch.Tensor, by: torch.Tensor) -> torch.Tensor:
        """Keys [n, tokens, heads, size], as if they stood `by` [n] tokens later."""
        return turned(keys, by, self.table, self.neox)

    def freed(self, vectors: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
        """Keys or queries [n, tokens, heads, size] without their positions, which begin at `first` [n]."""
        at = first[:, None] + torch.arange(vectors.shape[1], device=vectors.device)
        return turned(vectors.flatten(0, 1)[:, None], -at.flatten(), self.table, self.neox)[:, 0].view_as(vectors)


class Shelves:
    """Shelves and choices by (request, layer)."""

    def __init__(self) -> None:
        self._shelves: dict[tuple[str, str], Shelf] = {}
        self._chosen: dict[tuple[str, str], tuple[int, torch.Tensor]] = {}

    @torch.inference_mode()  # the step that reads these tensors runs in it
    def fill(self, plans: Mapping[str, Plan], layers: Mapping[str, Any], rope: Rope, policy: Policy) -> None:
        """Put away what leaves, of every layer, before the step overwrites it."""
        for request, plan in plans.items():
            if not plan.leaving:
                continue
            ids = torch.tensor([block for _, block in plan.leaving])
            for layer in layers.values():
                self._put(request, layer, plan.leaving[0][0], ids.to(layer.kv_cache.device), rope, policy)

    def complete(self, request: str, layer: Any, back: range, table: torch.Tensor, rope: Rope, policy: Policy) -> None:
        """Put away what is out of the window but, within a long step, not out of the pool; `table` [blocks]: its
        row."""
        shelf = self._shelves.get((request, layer.layer_name))
        first = back.start if shelf is None else shelf.base + shelf.number
        if first < back.stop:
            self._put(request, layer, first, table[first : back.stop].to(torch.int64), rope, policy)

    def _put(self, request: str, layer: Any, first: int, ids: torch.Tensor, rope: Rope, policy: Policy) -> None:
        keys, values = LAYOUT.read(layer.impl, layer, layer.kv_cache, ids)
        tokens = keys.shape[1]
        marks = rope.freed(keys, (first + torch.arange(len(ids), device=keys.device)) * tokens)
        if _recall(policy).representative == "mean":
            marks = marks.mean(1, keepdim=True)
        self._shelves.setdefault((request, layer.layer_name), Shelf(first)).put(first, keys, values, marks)

    def choice(
        self, request: str, layer: str, occasion: int, back: range, queries: torch.Tensor, policy: Policy
    ) -> torch.Tensor:
        """Numbers of the blocks that this occasion gets, int64 [KV heads, n], ascending; `queries` [tokens, KV heads,
        group, size], without positions."""
        known = self._chosen.get((request, layer))
        if known is not None and known[0] == occasion:
            return known[1]
        recall = _recall(policy)
        scores = scored(queries.cpu(), self._shelves[request, layer].marks(back))
        picked = choose(scores, recall.budget, recall.select, recall.mass) + back.start
        self._chosen[request, layer] = (occasion, picked)
        return picked

    def take(self, request: str, layer: str, chosen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values [n, tokens, heads, size], each head its own blocks."""
        return self._shelves[request, layer].take(chosen)

    def forget(self, requests: Iterable[str]) -> None:
        """These requests have ended."""
        gone = set(requests)
        if gone:
            self._shelves = {key: shelf for key, shelf in self._shelves.items() if key[0] not in gone}
            self._chosen = {key: chosen for key, chosen in self._chosen.items() if key[0] not in gone}

    @property
    def bytes(self) -> int:
        """Host memory in use."""
        return sum(shelf.bytes for shelf in self._shelves.values())


def _recall(policy: Policy) -> BlockRecall:
    if not isinstance(policy, BlockRecall):
        raise TypeError(f"{type(policy).__name__} has nothing to choose from.")
    return policy


SHELVES = Shelves()
"""One per worker process."""
