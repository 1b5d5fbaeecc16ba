"""vLLM's FlashAttention and Triton attention under KV policies: the CPU's mixins before other kernels. Written against
vLLM 0.32's classes; where it has run, see docs/kv-policies.md.

Pieces are as many as the step's queries touch blocks, so shapes differ from step to step: attention stays outside of
CUDA graphs (piecewise), the rest of the model is captured as ever.
"""

from vllm.v1.attention.backend import AttentionCGSupport
from vllm.v1.attention.backends.flash_attn import (
    FlashAttentionBackend,
    FlashAttentionImpl,
    FlashAttentionMetadataBuilder,
)
from vllm.v1.attention.backends.triton_attn import (
    TritonAttentionBackend,
    TritonAttentionImpl,
    TritonAttentionMetadataBuilder,
)

from workers.vllm_plugin.backends import BorrowingImpl, CompactingBuilder


class PolicyFlashBuilder(CompactingBuilder, FlashAttentionMetadataBuilder):
    """Compacted tables for FlashAttention."""

    _cudagraph_support = AttentionCGSupport.NEVER
    supports_update_block_table = False  # another group's table is not this one's, compacted


class PolicyFlashImpl(BorrowingImpl, FlashAttentionImpl):
    """FlashAttention, over copies where there are any."""


class PolicyFlashBackend(FlashAttentionBackend):
    """Registered in FLASH_ATTN's place."""

    @staticmethod
    def get_builder_cls() -> type[PolicyFlashBuilder]:
        """Ours."""
        return PolicyFlashBuilder

    @staticmethod
    def get_impl_cls() -> type[PolicyFlashImpl]:
        """Ours."""
        return PolicyFlashImpl


class PolicyTritonBuilder(CompactingBuilder, TritonAttentionMetadataBuilder):
    """Compacted tables for the Triton kernel."""

    _cudagraph_support = AttentionCGSupport.NEVER
    supports_update_block_table = False


class PolicyTritonImpl(BorrowingImpl, TritonAttentionImpl):
    """The Triton kernel, over copies where there are any."""


class PolicyTritonBackend(TritonAttentionBackend):
    """Registered in TRITON_ATTN's place."""

    @staticmethod
    def get_builder_cls() -> type[PolicyTritonBuilder]:
        """Ours."""
        return PolicyTritonBuilder

    @staticmethod
    def get_impl_cls() -> type[PolicyTritonImpl]:
        """Ours."""
        return PolicyTritonImpl
