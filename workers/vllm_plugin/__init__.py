"""KV policies inside stock vLLM. The only room that imports vllm; vLLM calls `register` in every one of its
processes."""

import logging

from workers.kv.errors import PolicyRefused
from workers.vllm_plugin import reasons, versions

NAME = "mneme_kv"
"""What vLLM's plug-in groups know this one by."""


def register() -> None:
    """Entry point of `vllm.general_plugins`. Idempotent. On an engine without a policy it changes nothing that is used.

    vLLM only logs that a plug-in cannot be loaded, so nothing here decides whether the policy is active: scheduler and
    workers check that themselves and refuse to start.
    """
    reasons.install()
    try:
        versions.check(versions.found())
    except PolicyRefused as refused:  # a stock engine must go on; one with a policy will not start
        logging.getLogger(__name__).warning("The plug-in %s stays out of the way. %s", NAME, refused)
        return
    _install()


def _install() -> None:
    from vllm.platforms import current_platform
    from vllm.v1.attention.backends.registry import AttentionBackendEnum, register_backend
    from vllm.v1.kv_cache_spec_registry import KVCacheSpecRegistry

    from workers.vllm_plugin import core, duo, duo_groups, salt
    from workers.vllm_plugin.manager import PolicyManager
    from workers.vllm_plugin.spec import PolicySpec, install

    if current_platform.is_cpu():
        register_backend(AttentionBackendEnum.CPU_ATTN, "workers.vllm_plugin.cpu.PolicyCpuBackend")
    elif current_platform.is_cuda():
        register_backend(AttentionBackendEnum.FLASH_ATTN, "workers.vllm_plugin.gpu.PolicyFlashBackend")
        register_backend(AttentionBackendEnum.TRITON_ATTN, "workers.vllm_plugin.gpu.PolicyTritonBackend")
    KVCacheSpecRegistry._ensure_registered()  # it registers vLLM's own only while it is empty
    KVCacheSpecRegistry.register(PolicySpec, PolicyManager, uniform_type_base_spec=PolicySpec)
    install()
    duo.install()
    duo_groups.install()
    salt.install()
    core.install()
