"""Block tables made small: what a query may read, moved to the front of its row, so that unmodified paged kernels read
exactly that. Tensors only; policies decide elsewhere.

A kernel sees a row's keys as [0, length) and lets query token i of n see the first length − n + 1 + i of them. So a
piece may hold query tokens of several blocks only if these blocks come last in its row, unbroken; it is split at block
boundaries when what is read differs from block to block.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from workers.kv.stream import Retained, count


@dataclass(frozen=True, slots=True)
class Piece:
    """Query tokens [start, stop) of table row `row`, and the blocks that they read, the last of which holds stop − 1.

    `up`: so many tokens further on stands what lies apart from the query's run. `back`: absent blocks to choose from;
    pieces with the same `occasion` get the same ones.
    """

    row: int
    start: int
    stop: int
    reads: Retained
    up: int = 0
    back: range = range(0)
    occasion: int = 0


@dataclass(frozen=True, slots=True)
class Compacted:
    """One row per piece. `query_start`: int32 [pieces + 1]; `lengths`: int32 [pieces], keys per row; `table`: int32
    [pieces, widest], block ids, zeros behind; the last two live where the table lived."""

    query_start: torch.Tensor
    lengths: torch.Tensor
    table: torch.Tensor
    tokens: int
    longest_query: int
    longest: int


def by_block(row: int, start: int, stop: int, block: int, reads: Callable[[int], Retained]) -> Iterator[Piece]:
    """The query tokens [start, stop) cut at block boundaries; `reads` tells what each block's queries may read."""
    while start < stop:
        end = min((start // block + 1) * block, stop)
        yield Piece(row, start, end, reads(start // block))
        start = end


def compact(pieces: Sequence[Piece], table: torch.Tensor, block: int) -> Compacted:
    """The compacted view of `table`, int32 [rows, blocks]. Pieces come in the order of the batch's query tokens."""
    widths = np.fromiter((count(piece.reads) for piece in pieces), np.int64, len(pieces))
    lasts = np.fromiter(((piece.stop - 1) % block + 1 for piece in pieces), np.int64, len(pieces))
    queries = np.fromiter((piece.stop - piece.start for piece in pieces), np.int64, len(pieces))
    lengths = (widths - 1) * block + lasts
    columns = np.zeros((len(pieces), int(widths.max())), np.int64)
    for at, piece in enumerate(pieces):
        columns[at, : widths[at]] = np.concatenate([np.arange(part.start, part.stop) for part in piece.reads])
    rows = np.fromiter((piece.row for piece in pieces), np.int64, len(pieces))
    device = table.device
    gathered = table[torch.from_numpy(rows).to(device)[:, None], torch.from_numpy(columns).to(device)]
    unused = torch.from_numpy(np.arange(columns.shape[1])[None] >= widths[:, None]).to(device)
    return Compacted(
        query_start=torch.from_numpy(np.concatenate([[0], np.cumsum(queries)]).astype(np.int32)).to(device),
        lengths=torch.from_numpy(lengths.astype(np.int32)).to(device),
        table=gathered.masked_fill(unused, 0).contiguous(),
        tokens=int(queries.sum()),
        longest_query=int(queries.max()),
        longest=int(lengths.max()),
    )
