"""Blocks that have left the pool, in host memory, one layer's at a time, in the order in which they left. Knows no
engine.

Sizes: a block's keys and values are [tokens, heads, size]. Keys stand as they were written, turned by their positions.
"""

import torch

_FIRST = 16


class Shelf:
    """One request's absent blocks of one layer: block number `base` + i lies at i."""

    def __init__(self, base: int) -> None:
        self.base, self.number = base, 0
        self._keys = self._values = self._marks = torch.empty(0)

    def put(self, at: int, keys: torch.Tensor, values: torch.Tensor, marks: torch.Tensor) -> None:
        """Blocks from number `at` on: keys and values [n, tokens, heads, size], `marks` [n, m, heads, size] what they
        are found by. A request that was preempted hands them in again."""
        start = at - self.base
        stop = start + len(keys)
        if not 0 <= start <= self.number:
            raise ValueError(f"Block {at} cannot follow block {self.base + self.number - 1} on the shelf.")
        self._keys = _room(self._keys, keys, stop)
        self._values = _room(self._values, values, stop)
        self._marks = _room(self._marks, marks, stop)
        self._keys[start:stop] = keys.cpu()
        self._values[start:stop] = values.cpu()
        self._marks[start:stop] = marks.cpu()
        self.number = max(self.number, stop)

    def marks(self, places: range) -> torch.Tensor:
        """[blocks, m, heads, size] of the blocks in `places`."""
        return self._marks[places.start - self.base : places.stop - self.base]

    def take(self, chosen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """`chosen` [heads, n] block numbers, each head its own → keys and values [n, tokens, heads, size]."""
        at = (chosen - self.base).T
        heads = torch.arange(chosen.shape[0])
        keys = self._keys[at[:, None, :], torch.arange(self._keys.shape[1])[None, :, None], heads]
        values = self._values[at[:, None, :], torch.arange(self._values.shape[1])[None, :, None], heads]
        return keys, values

    @property
    def bytes(self) -> int:
        """Host memory in use."""
        return sum(part.nbytes for part in (self._keys, self._values, self._marks))


def _room(held: torch.Tensor, new: torch.Tensor, number: int) -> torch.Tensor:
    """`held` if `number` blocks fit, else twice as much with its content."""
    if held.numel() and len(held) >= number:
        return held
    wider = new.new_empty((max(_FIRST, 2 * number), *new.shape[1:]), device="cpu")
    if held.numel():
        wider[: len(held)] = held
    return wider
