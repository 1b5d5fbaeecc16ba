"""Attention backends over compacted tables: vLLM's own kernels, told a shorter context. Mixins for every backend;
nothing here is the CPU's or a GPU's own. Decides nothing about blocks."""

from collections.abc import Sequence
from typing import Any

import torch

from workers.kv.compaction import Piece, compact
from workers.vllm_plugin.board import BOARD
from workers.vllm_plugin.copies import Borrowing, laid
from workers.vllm_plugin.spec import PolicySpec


class CompactingBuilder:
    """Stands before one of vLLM's metadata builders and rewrites the batch that it is given."""

    kv_cache_spec: Any

    def build(self, common_prefix_len: int, common_attn_metadata: Any, fast_build: bool = False) -> Any:
        """As vLLM builds it, for pieces in place of requests."""
        batch, spec, stock = common_attn_metadata, self.kv_cache_spec, super().build  # type: ignore[misc]
        if not isinstance(spec, PolicySpec):
            return stock(common_prefix_len, batch, fast_build)
        rows = batch.num_reqs
        starts = batch.query_start_loc_cpu[: rows + 1].tolist()
        pieces = BOARD.pieces(spec, starts, _lengths(batch)[:rows].tolist())
        if not pieces:
            return stock(common_prefix_len, batch, fast_build)
        table = batch.block_table_tensor[:rows]
        if not any(piece.up or piece.back for piece in pieces):
            return stock(0, _replaced(batch, compact(pieces, table, spec.block_size)), fast_build)
        metadata = stock(common_prefix_len, batch, fast_build)
        metadata.mneme = Borrowing(
            pieces,
            _offsets(pieces),
            _with_copies(table),
            table.shape[1],
            spec,
            BOARD.rope(),
            lambda small: stock(0, _replaced(batch, small), fast_build),
        )
        return metadata


class BorrowingImpl:
    """Stands before one of vLLM's attention implementations: where pieces read blocks elsewhere than they stand, or
    ones that had left, it lays copies of these into blocks of the request's own and runs the kernel over them."""

    def forward(
        self,
        layer: Any,
        query: Any,
        key: Any,
        value: Any,
        kv_cache: Any,
        attn_metadata: Any,
        output: Any,
        *others: Any,
        **more: Any,
    ) -> Any:
        """vLLM's own kernel; once if nothing is borrowed, else once for each turn of the copies."""
        stock = super().forward  # type: ignore[misc]
        borrowing = getattr(attn_metadata, "mneme", None)
        if borrowing is None:
            return stock(layer, query, key, value, kv_cache, attn_metadata, output, *others, **more)
        for turn, pieces in enumerate(borrowing.turns):
            metadata, tokens = laid(self, layer, kv_cache, borrowing, turn, pieces, query)
            answer = output.new_empty((len(tokens), *output.shape[1:]))
            stock(layer, query[tokens], key, value, kv_cache, metadata, answer, *others, **more)
            output[tokens] = answer
        return output


def _with_copies(table: torch.Tensor) -> torch.Tensor:
    """The batch's table, with each request's blocks for copies behind it, zeros behind those."""
    copies = [BOARD.plan(BOARD.name(row)).copies for row in range(len(table))]
    wider = table.new_zeros((len(table), max(map(len, copies))))
    for row, ids in enumerate(copies):
        wider[row, : len(ids)] = torch.tensor(ids, dtype=table.dtype)
    return torch.cat((table, wider), 1)


def _offsets(pieces: Sequence[Piece]) -> list[int]:
    offsets = [0]
    for piece in pieces:
        offsets.append(offsets[-1] + piece.stop - piece.start)
    return offsets[:-1]


def _lengths(batch: Any) -> Any:
    """Context lengths on the host; on a GPU vLLM keeps a copy there that is exact but for speculative decoding."""
    told = batch.seq_lens_cpu_upper_bound
    return batch.seq_lens if told is None else told


def _replaced(batch: Any, small: Any) -> Any:
    """vLLM's metadata of the batch, with pieces for rows."""
    told = batch.seq_lens_cpu_upper_bound
    return batch.replace(
        query_start_loc=small.query_start,
        query_start_loc_cpu=small.query_start.cpu(),
        seq_lens=small.lengths,
        seq_lens_cpu_upper_bound=None if told is None else small.lengths.cpu(),
        block_table_tensor=small.table,
        num_reqs=len(small.lengths),
        num_actual_tokens=small.tokens,
        max_query_len=small.longest_query,
        max_seq_len=small.longest,
        is_prefilling=None,
        req_idx=None,
    )
