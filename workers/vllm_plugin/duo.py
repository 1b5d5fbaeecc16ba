"""Layers whose KV heads follow different policies. vLLM gives a layer one block table, so such a layer becomes several
to vLLM: slices of a few heads with their own cache and table, run one after the other by vLLM's own kernels. Decides
neither which heads retrieve nor which blocks stay."""

import inspect
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import wraps
from typing import Any

import torch
from vllm.config import get_current_vllm_config
from vllm.model_executor.layers.attention import Attention
from vllm.model_executor.layers.attention.attention import get_attention_context
from vllm.model_executor.models.utils import extract_layer_index
from vllm.v1.attention.backend import AttentionType
from vllm.v1.kv_cache_interface import is_quantized_kv_cache

from workers.kv.errors import PolicyRefused
from workers.kv.policies.duo import Duo
from workers.vllm_plugin.spec import HEADS, configured


class HeadSlice(Attention):
    """Some heads of another layer. Not in the model's tree: it has no weights, only a cache and a kernel to call."""


@dataclass(frozen=True, slots=True)
class _Part:
    """`layer` owns the cache of these heads, `impl` reads and writes it; `keys` and `queries` are their places in the
    whole layer's tensors."""

    layer: Any
    impl: Any
    keys: torch.Tensor
    queries: torch.Tensor


class ByParts:
    """Stands before the attention implementation of a cut layer and sends each slice of heads to its own."""

    parts: Sequence[_Part]

    def do_kv_cache_update(self, layer: Any, key: Any, value: Any, kv_cache: Any, slot_mapping: Any) -> None:
        """Each slice's heads into its own cache. `key`, `value`: [tokens, KV heads, size]."""
        for part in self.parts:
            _, _, cache, slots = get_attention_context(part.layer.layer_name)
            heads = key.index_select(1, part.keys), value.index_select(1, part.keys)
            part.impl.do_kv_cache_update(part.layer, *heads, cache, slots)

    def forward(
        self,
        layer: Any,
        query: Any,
        key: Any,
        value: Any,
        kv_cache: Any,
        attn_metadata: Any,
        output: Any,
        output_scale: Any = None,
        output_block_scale: Any = None,
    ) -> Any:
        """Each slice by its own table; together the whole layer's `output`, [tokens, heads, size]."""
        if output_scale is not None or output_block_scale is not None:
            raise NotImplementedError("Outputs cannot be quantized head by head.")
        for part in self.parts:
            metadata, _, cache, _ = get_attention_context(part.layer.layer_name)
            asked = query.index_select(1, part.queries)
            heads = key.index_select(1, part.keys), value.index_select(1, part.keys)
            found = output.new_empty((output.shape[0], len(part.queries), output.shape[2]))
            part.impl.forward(part.layer, asked, *heads, cache, metadata, found)
            output.index_copy_(1, part.queries, found)
        return output

    def process_weights_after_loading(self, act_dtype: Any) -> None:
        """vLLM calls it for the layers of the model's tree, so not for slices."""
        for part in self.parts:
            part.impl.process_weights_after_loading(act_dtype)


def install() -> None:
    """Cut every attention layer as it is made, if the engine's policy wants it. Idempotent."""
    if getattr(Attention.__init__, "_mneme", False):
        return
    stock = Attention.__init__
    signature = inspect.signature(stock)

    @wraps(stock)
    def __init__(self: Any, *known: Any, **others: Any) -> None:
        stock(self, *known, **others)
        if type(self) is Attention and self.attn_type == AttentionType.DECODER:
            given = dict(signature.bind(self, *known, **others).arguments)
            more = given.pop("extra_impl_args", {})
            del given["self"]
            _cut(self, {**given, **more})

    __init__._mneme = True  # type: ignore[attr-defined]
    Attention.__init__ = __init__


def _cut(layer: Any, given: Mapping[str, Any]) -> None:
    config = get_current_vllm_config()
    choice = configured(config)
    policy = None if choice is None else choice.policy(1)  # only its heads are asked for
    if not isinstance(policy, Duo):
        return
    model = config.model_config
    heads = model.get_total_num_kv_heads()
    slices = policy.slices(model.get_total_num_hidden_layers(), heads)[extract_layer_index(layer.layer_name)]
    if len(slices) == 1:
        return
    _refuse(layer, given, config)
    shared = layer.num_heads // layer.num_kv_heads
    others = [_slice(given, own, shared) for own in slices[1:]]
    owners = [layer, *others]
    impls = [copy(others[0].impl), *(other.impl for other in others)]
    for owner, own in zip(owners, slices, strict=True):
        setattr(owner, HEADS, own)
    layer.impl = copy(others[0].impl)  # so that it says of itself what is true of the layer's own slice
    layer.impl.__class__ = type(f"ByParts{type(layer.impl).__name__}", (ByParts, type(layer.impl)), {})
    layer.impl.parts = [_part(*each, shared) for each in zip(owners, impls, slices, strict=True)]


def _part(owner: Any, impl: Any, heads: Sequence[int], shared: int) -> _Part:
    queries = [head * shared + at for head in heads for at in range(shared)]
    return _Part(owner, impl, torch.tensor(heads), torch.tensor(queries))


def _slice(given: Mapping[str, Any], heads: Sequence[int], shared: int) -> HeadSlice:
    sizes = {
        "num_heads": len(heads) * shared,
        "num_kv_heads": len(heads),
        "prefix": f"{given['prefix']}.heads{heads[0]}",
    }
    # No quantization: its scales come with the model's weights, and a slice is given none.
    return HeadSlice(**{**given, **sizes, "quant_config": None})


def _refuse(layer: Any, given: Mapping[str, Any], config: Any) -> None:
    reasons = {
        "tensor parallelism": config.parallel_config.tensor_parallel_size > 1,
        "a quantized KV cache": is_quantized_kv_cache(layer.kv_cache_dtype),
        "ALiBi": given.get("alibi_slopes") is not None,
        "learned sinks": given.get("sinks") is not None,
        "layers that share one KV cache": given.get("kv_sharing_target_layer_name") is not None,
    }
    for reason, holds in reasons.items():
        if holds:
            raise PolicyRefused(
                f"{layer.layer_name}: retrieval and streaming heads in one layer do not go with {reason}. Give duo "
                "whole layers: python -m workers calibrate --per layer finds them."
            )
