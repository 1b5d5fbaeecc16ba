"""What the bytes of a KV block depend on beside its tokens: model, weights, types, layout, positions. A file that
differs in one of these is never loaded. Knows no session and no request."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import try_to_load_from_cache
from vllm import __version__

from workers.vllm_plugin.spec import trained

_WEIGHTS = ("*.safetensors", "*.bin", "*.pt", "*.pth", "*.gguf")
_SAMPLES, _SAMPLE = 256, 4096


def engine_facts(vllm_config: Any, caches: Mapping[str, torch.Tensor]) -> dict[str, str]:
    """By name; `caches`: each layer's pool, [blocks, ...]. Reads samples of the weights' files."""
    model, cache = vllm_config.model_config, vllm_config.cache_config
    layers = vllm_config.compilation_config.static_forward_context
    config = json.loads(model.hf_config.to_json_string(use_diff=False))
    for beside in ("_name_or_path", "transformers_version"):
        config.pop(beside, None)
    return {
        "vllm": __version__,
        "model": _hashed(config),
        "weights": _weights(model, vllm_config.load_config),
        "dtype": f"{model.dtype} {model.quantization}",
        "cache": str(cache.cache_dtype),
        "block": str(cache.block_size),
        "layout": _hashed({name: [str(pool.dtype), *pool.shape[1:]] for name, pool in caches.items()}),
        "isa": _hashed({name: getattr(layers.get(name), "isa", None) for name in caches}),  # a CPU packs keys by it
        "trained": str(trained(vllm_config)),
        "hash": str(cache.prefix_caching_hash_algo),
    }


def _hashed(told: Any) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _weights(model: Any, load: Any) -> str:
    """Samples of each file, evenly spread, with its name and size: another tuning of the same model differs in them."""
    if load.load_format == "dummy":
        return f"random, seed {model.seed}"
    folder = Path(model.model)
    if not folder.is_dir():
        told = try_to_load_from_cache(model.model, "config.json", cache_dir=load.download_dir, revision=model.revision)
        if not isinstance(told, str):
            return f"{model.model} at {model.revision}"
        folder = Path(told).parent
    running = hashlib.sha256()
    for path in sorted(path for pattern in _WEIGHTS for path in folder.glob(pattern)):
        size = path.stat().st_size
        running.update(json.dumps([path.name, size]).encode())
        with path.open("rb") as file:
            for at in range(0, size, max(_SAMPLE, size // _SAMPLES)):
                file.seek(at)
                running.update(file.read(_SAMPLE))
    return running.hexdigest()[:16]
