"""The KV cache spec of a layer under a policy, and where vLLM is made to ask for it. Decides nothing about blocks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from vllm.model_executor.layers.attention import Attention
from vllm.model_executor.models.utils import extract_layer_index
from vllm.v1.kv_cache_interface import FullAttentionSpec, KVCacheSpec, SlidingWindowSpec, replace_as

from workers.kv.choice import Choice, chosen, held
from workers.kv.errors import PolicyRefused
from workers.kv.policies.base import Policy
from workers.kv.policies.full import Full
from workers.vllm_plugin.arguments import CONFIG, TRAINED

HEADS = "mneme_heads"
"""On a layer that stands for some heads only: which KV heads of the model's layer these are."""

_NOT_OURS = ("sliding_window", "attention_chunk_size", "non_causal")


@dataclass(frozen=True, kw_only=True)
class PolicySpec(SlidingWindowSpec):
    """A full-attention layer whose blocks `policy` keeps or gives back. It derives from the sliding window's spec since
    only that one tells vLLM that blocks come back before the request ends; no kernel ever sees the window."""

    policy: Policy
    trained: int = 0
    """Tokens of context that the model was trained on, if longer streams are to be served; else 0."""

    @property
    def num_retained_tokens(self) -> int:
        """vLLM must not cut table rows by itself: that would cut the sinks."""
        return 1 << 30

    def max_admission_blocks_per_request(self, max_in_flight_tokens: int, max_model_len: int) -> int:
        """The most that one request holds, the step in flight included."""
        return held(self.policy, self.block_size, max_in_flight_tokens, max_model_len, self.trained)

    def is_uniform_with_collection(self, kv_cache_specs: dict[str, KVCacheSpec]) -> bool:
        """Layers may share a block table exactly if they retain the same."""
        return all(isinstance(spec, PolicySpec) and spec.policy == self.policy for spec in kv_cache_specs.values())


@lru_cache(maxsize=8)
def _choice(name: str, knobs: tuple[tuple[str, Any], ...]) -> Choice:
    return chosen(name, dict(knobs))


def configured(vllm_config: Any) -> Choice | None:
    """The engine's own policy, as the launcher configured it; None on a stock engine."""
    config = vllm_config.additional_config
    told = config.get(CONFIG) if isinstance(config, dict) else None
    return chosen(told["policy"], told["knobs"]) if told else None


def trained(vllm_config: Any) -> int:
    """The model's trained context in tokens, if this engine serves longer streams; else 0."""
    config = vllm_config.additional_config
    told = int(config.get(TRAINED, 0)) if isinstance(config, dict) else 0
    return told if told < vllm_config.model_config.max_model_len else 0


def install() -> None:
    """Make every attention layer ask its policy for its spec. Idempotent."""
    if getattr(Attention.get_kv_cache_spec, "_mneme", False):
        return
    stock = Attention.get_kv_cache_spec

    def get_kv_cache_spec(self: Any, vllm_config: Any) -> KVCacheSpec | None:
        spec = stock(self, vllm_config)
        choice = configured(vllm_config)
        if choice is None or spec is None:
            return spec
        return policed(spec, choice, self.layer_name, trained(vllm_config), getattr(self, HEADS, None))

    get_kv_cache_spec._mneme = True  # type: ignore[attr-defined]
    Attention.get_kv_cache_spec = get_kv_cache_spec


def policed(
    spec: KVCacheSpec, choice: Choice, layer: str, trained: int = 0, cut: Sequence[int] | None = None
) -> KVCacheSpec:
    """The layer's spec under the choice, or that of its KV heads `cut`; PolicyRefused if no policy can serve it."""
    if type(spec) is not FullAttentionSpec or spec.sliding_window or spec.attention_chunk_size:
        raise PolicyRefused(
            f"{layer} has {type(spec).__name__}: KV policies are for models whose layers all have plain full "
            "attention. Serve this model without --kv."
        )
    if cut is not None:
        spec = replace(spec, num_kv_heads=len(cut))
    heads = range(spec.num_kv_heads) if cut is None else cut
    by_head = choice.policy(spec.block_size).at(extract_layer_index(layer), max(heads) + 1)
    policy = by_head[heads[0]]
    if any(by_head[head] != policy for head in heads):
        raise PolicyRefused(f"{layer}: its heads follow several policies, and it was not cut into slices of heads.")
    if choice.name == "duo" and isinstance(policy, Full):
        return spec
    window = (policy.most() or 1 << 20) * spec.block_size
    return replace_as(spec, PolicySpec, drop=_NOT_OURS, sliding_window=window, policy=policy, trained=trained)


__all__ = ["CONFIG", "HEADS", "TRAINED", "PolicySpec", "configured", "install", "policed", "trained"]
