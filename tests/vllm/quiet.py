"""How vLLM is run by tests and benchmarks, on a small CPU or on a part of a GPU: offline, quietly, in the process that
asks, and there too with all bits of float32."""

from typing import Any

ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # the engine runs where it can be watched
    "VLLM_LOGGING_LEVEL": "WARNING",
    "VLLM_USE_V2_MODEL_RUNNER": "0",
    "VLLM_USE_FLASHINFER_SAMPLER": "0",
    "TRITON_F32_DEFAULT": "ieee",  # Triton's own choice is tf32, with ten bits of a number
}


def device() -> dict[str, Any]:
    """What an engine is told about the device. On a GPU float32 wants Triton's kernels; several engines share it."""
    from vllm.platforms import current_platform

    if not current_platform.is_cuda():
        return {}
    return {"attention_backend": "TRITON_ATTN", "gpu_memory_utilization": 0.03, "kv_cache_memory_bytes": 2 << 30}
