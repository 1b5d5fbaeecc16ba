"""vLLM's CPU attention under KV policies."""

from vllm.v1.attention.backends.cpu_attn import (
    CPUAttentionBackend,
    CPUAttentionBackendImpl,
    CPUAttentionMetadataBuilder,
)

from workers.vllm_plugin.backends import BorrowingImpl, CompactingBuilder


class PolicyCpuBuilder(CompactingBuilder, CPUAttentionMetadataBuilder):
    """Compacted tables for vLLM's CPU kernel."""


class PolicyCpuImpl(BorrowingImpl, CPUAttentionBackendImpl):
    """vLLM's CPU kernel, over copies where there are any."""


class PolicyCpuBackend(CPUAttentionBackend):
    """Registered in CPU_ATTN's place: vLLM takes no other backend on a CPU."""

    @staticmethod
    def get_builder_cls() -> type[PolicyCpuBuilder]:
        """Ours."""
        return PolicyCpuBuilder

    @staticmethod
    def get_impl_cls() -> type[PolicyCpuImpl]:
        """Ours."""
        return PolicyCpuImpl
