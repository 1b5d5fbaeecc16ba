"""What the engine's process tells the API process of itself: that the policy is active in it, and which blocks its
requests hold. Changes nothing."""

import os
from typing import Any

from vllm.model_executor.models.utils import extract_layer_index
from vllm.v1.engine.core import EngineCore

from workers.vllm_plugin.ledger import LEDGER
from workers.vllm_plugin.spec import PolicySpec


def kv_report(core: Any) -> dict[str, Any]:
    """This process, for whoever asks whether the policy is active in it: `layers` is how many of them have their blocks
    managed by one, `key` the choice that its scheduler sends with every step (None: none)."""
    groups = core.scheduler.kv_cache_manager.kv_cache_config.kv_cache_groups
    names = [name for group in groups if isinstance(group.kv_cache_spec, PolicySpec) for name in group.layer_names]
    return {
        "role": "engine",
        "pid": os.getpid(),
        "rank": 0,
        "layers": len(set(map(extract_layer_index, names))),  # duo may have cut one into several
        "key": LEDGER.choice.key if LEDGER.choice else None,  # our scheduler opened it
    }


def kv_requests(core: Any) -> list[dict[str, Any]]:
    """Every request that has begun: its policy, its tokens so far, the blocks that it holds as [first, end) runs."""
    running = core.scheduler.requests
    return [
        {
            "id": name,
            "policy": entry.choice.name,
            "tokens": running[name].num_computed_tokens,
            "live": [[part.start, part.stop] for part in entry.live],
        }
        for name, entry in LEDGER.entries.items()
        if entry.live is not None and name in running
    ]


def install() -> None:
    """vLLM calls methods of its engine core by name for the API process; these are two more. Idempotent."""
    EngineCore.kv_report = kv_report
    EngineCore.kv_requests = kv_requests
