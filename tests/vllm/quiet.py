"""How vLLM is run on a small CPU by tests and benchmarks: offline, quietly, in the process that asks."""

ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # the engine runs where it can be watched
    "VLLM_LOGGING_LEVEL": "WARNING",
}
