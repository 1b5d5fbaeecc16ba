"""Which layers share a block table when some keep everything and others stream. vLLM lays equally many layers in every
block of its pool and may take the number from those that stream, so that layers that keep everything are padded, token
by token. Here the number is theirs, and only the few blocks of the others are padded. Knows no head and no policy."""

from collections.abc import Mapping
from functools import wraps
from typing import Any

from vllm.v1.core import kv_cache_utils
from vllm.v1.kv_cache_interface import FullAttentionSpec

from workers.vllm_plugin.spec import PolicySpec


def install() -> None:
    """Where vLLM groups layers that are alike. Idempotent."""
    stock = kv_cache_utils.get_kv_cache_groups
    if getattr(stock, "_mneme", False):
        return

    @wraps(stock)
    def get_kv_cache_groups(vllm_config: Any, kv_cache_spec: Any) -> Any:
        groups = grouped(kv_cache_spec)
        if groups is None:
            return stock(vllm_config, kv_cache_spec)
        return kv_cache_utils.create_kv_cache_group_specs(kv_cache_spec, groups)

    get_kv_cache_groups._mneme = True  # type: ignore[attr-defined]
    kv_cache_utils.get_kv_cache_groups = get_kv_cache_groups


def grouped(specs: Mapping[str, Any]) -> list[list[str]] | None:
    """Layers by group: all that keep everything, then as many groups as the others need to be no larger. None, so that
    vLLM decides, unless there are exactly these two kinds with pages of one size."""
    keeping = [name for name, spec in specs.items() if type(spec) is FullAttentionSpec]
    streaming = [name for name, spec in specs.items() if isinstance(spec, PolicySpec)]
    kinds, pages = set(specs.values()), {spec.page_size_bytes for spec in specs.values()}
    if not keeping or not streaming or len(keeping) + len(streaming) < len(specs) or (len(kinds), len(pages)) != (2, 1):
        return None
    number = -(-len(streaming) // len(keeping))
    return [keeping, *(streaming[at::number] for at in range(number))]
