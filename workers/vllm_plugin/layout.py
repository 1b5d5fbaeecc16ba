"""Where a backend puts a key's and a value's numbers inside a block, learned by watching it write. vLLM's CPU
kernels pack keys for the processor at hand and do not say how; a block read through what was learned is plain
again."""

from typing import Any

import torch

from workers.kv.errors import PolicyRefused

_DIGITS = 128  # whole numbers below this are exact in every floating type that caches use
_BLOCK = 1


class Layout:
    """`read` turns blocks of a layer's cache into keys and values; `write` is the backend's own."""

    def __init__(self) -> None:
        self._orders: dict[Any, torch.Tensor] = {}

    def read(self, impl: Any, layer: Any, cache: torch.Tensor, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Blocks `ids` [n] → keys and values [n, tokens, heads, size]."""
        heads, size = impl.num_kv_heads, impl.head_size
        key = (cache.shape[1:], cache.stride()[1:], cache.dtype, str(cache.device), heads)
        if key not in self._orders:
            self._orders[key] = _learned(impl, layer, cache)
        plain = cache[ids].flatten(1)[:, self._orders[key]]
        keys, values = plain.view(len(ids), 2, -1, heads, size).unbind(1)
        return keys, values


def write(impl: Any, layer: Any, cache: torch.Tensor, ids: torch.Tensor, keys: Any, values: Any) -> None:
    """Lay keys and values [n, tokens, heads, size] into the blocks `ids` [n]."""
    tokens = keys.shape[1]
    slots = (ids[:, None] * tokens + torch.arange(tokens, device=ids.device)).flatten()
    impl.do_kv_cache_update(layer, keys.flatten(0, 1), values.flatten(0, 1), cache, slots)


def _learned(impl: Any, layer: Any, cache: torch.Tensor) -> torch.Tensor:
    """For each number of a plain block (key and value, token, head, place) where it lies in the cache's block."""
    heads, size = impl.num_kv_heads, impl.head_size
    total = cache[0].numel()
    tokens = total // (2 * heads * size)
    if 2 * tokens * heads * size != total:
        raise PolicyRefused(
            "This attention backend's cache holds more than keys and values: its blocks cannot be moved."
        )
    places = torch.arange(total, device=cache.device)
    found = torch.zeros(total, dtype=torch.int64, device=cache.device)
    scale = 1
    while scale <= total:
        scratch = torch.zeros_like(cache[: _BLOCK + 1])
        digits = (places // scale % _DIGITS).to(cache.dtype).view(2, 1, tokens, heads, size)
        write(impl, layer, scratch, torch.tensor([_BLOCK], device=cache.device), digits[0], digits[1])
        found += scratch[_BLOCK].flatten().to(torch.int64) * scale
        scale *= _DIGITS
    if not torch.equal(found.sort().values, places):
        raise PolicyRefused("This attention backend does not keep keys and values as they are: blocks cannot be moved.")
    return found.argsort()


LAYOUT = Layout()
"""One per worker process: an order is learned once for each shape of cache."""
