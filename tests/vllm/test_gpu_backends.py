"""The GPU backends' tensor code, on a CPU: what FlashAttention and Triton would be told. No GPU kernel runs here."""

from types import SimpleNamespace
from typing import Any

import torch
from vllm.v1.attention.backend import AttentionCGSupport, CommonAttentionMetadata

from tests.vllm.engine import BLOCK
from workers.kv.policies.full import Full
from workers.kv.policies.sink_window import SinkWindow
from workers.vllm_plugin.backends import CompactingBuilder
from workers.vllm_plugin.board import BOARD
from workers.vllm_plugin.gpu import PolicyFlashBackend, PolicyTritonBackend
from workers.vllm_plugin.spec import PolicySpec


class _Stock:
    """What stands behind the mixin: keeps the batch that it is given."""

    def build(self, common_prefix_len: int, common_attn_metadata: Any, fast_build: bool = False) -> Any:
        return SimpleNamespace(batch=common_attn_metadata)


class _Builder(CompactingBuilder, _Stock):
    def __init__(self, spec: PolicySpec) -> None:
        self.kv_cache_spec = spec


def _spec(policy: Any) -> PolicySpec:
    return PolicySpec(
        block_size=BLOCK, num_kv_heads=2, head_size=32, dtype=torch.float32, sliding_window=1 << 20, policy=policy
    )


def _batch(lengths: list[int], queries: list[int]) -> CommonAttentionMetadata:
    """A batch as a GPU's runner lays it out, with the host's copies of its lengths."""
    starts = torch.tensor([0, *torch.tensor(queries).cumsum(0).tolist()], dtype=torch.int32)
    width = -(-max(lengths) // BLOCK)
    return CommonAttentionMetadata(
        query_start_loc=starts,
        query_start_loc_cpu=starts,
        seq_lens=torch.tensor(lengths, dtype=torch.int32),
        seq_lens_cpu_upper_bound=torch.tensor(lengths, dtype=torch.int32),
        num_reqs=len(lengths),
        num_actual_tokens=sum(queries),
        max_query_len=max(queries),
        max_seq_len=max(lengths),
        block_table_tensor=torch.arange(len(lengths) * width, dtype=torch.int32).view(len(lengths), width) + 1,
        slot_mapping=torch.arange(sum(queries)),
    )


def test_a_decode_step_reads_sinks_and_window() -> None:
    """One query token in each of two requests: rows of sink, window and own block, lengths without the gap."""
    BOARD.end()
    told = _Builder(_spec(SinkWindow(1, 2))).build(0, _batch([300, 40], [1, 1])).batch

    assert told.num_reqs == 2
    assert told.block_table_tensor[0].tolist() == [1, 8, 9, 10]
    assert told.block_table_tensor[1].tolist() == [11, 12, 0, 0]
    assert told.seq_lens.tolist() == [300 - 6 * BLOCK, 40]
    assert told.seq_lens_cpu_upper_bound.tolist() == told.seq_lens.tolist()
    assert (told.max_query_len, told.max_seq_len, told.num_actual_tokens) == (1, 300 - 6 * BLOCK, 2)


def test_a_prefill_step_is_cut_at_block_boundaries() -> None:
    """Seventy query tokens from position 50 on: three pieces, each with its own blocks."""
    BOARD.end()
    told = _Builder(_spec(SinkWindow(1, 1))).build(0, _batch([120], [70])).batch

    assert told.query_start_loc_cpu.tolist() == [0, 14, 46, 70]
    assert told.block_table_tensor.tolist() == [[1, 2, 0], [1, 2, 3], [1, 3, 4]]
    assert told.seq_lens.tolist() == [64, 96, 88]


def test_full_attention_is_left_as_it_came() -> None:
    """Nothing is rewritten where everything is read."""
    BOARD.end()
    batch = _batch([300], [1])

    assert _Builder(_spec(Full())).build(0, batch).batch is batch


def test_the_backends_keep_their_names_and_stay_out_of_graphs() -> None:
    """vLLM looks backends up by name; pieces change their number, which a captured graph could not follow."""
    for backend, name in ((PolicyFlashBackend, "FLASH_ATTN"), (PolicyTritonBackend, "TRITON_ATTN")):
        builder = backend.get_builder_cls()

        assert backend.get_name() == name
        assert builder._cudagraph_support is AttentionCGSupport.NEVER
        assert not builder.supports_update_block_table
        assert issubclass(builder, CompactingBuilder)
