"""Copies of blocks in a request's own pool blocks: moved ones, turned to where they are read, and absent ones,
chosen for each KV head. They are laid for one turn of one layer, and the next turn writes over them. Decides no
retention."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from workers.kv.compaction import Piece, compact
from workers.kv.positions import Move, apart, moved
from workers.kv.stream import Retained
from workers.vllm_plugin.board import BOARD, Back
from workers.vllm_plugin.layout import LAYOUT, write
from workers.vllm_plugin.shelves import SHELVES, Rope


@dataclass
class Borrowing:
    """Rides on a batch's metadata when some piece reads copies.

    `offsets`: where each piece's query tokens begin in the batch. `table` [rows, width + copies]: the batch's table
    and, from `width` on, each request's blocks for copies. `build`: metadata for a compacted table. `made`: metadata
    by turn and numbers of blocks, for layers that read equally many.
    """

    pieces: Sequence[Piece]
    offsets: Sequence[int]
    table: torch.Tensor
    width: int
    spec: Any
    rope: Rope
    build: Any
    made: dict[Any, Any] = field(default_factory=dict)

    @property
    def turns(self) -> list[list[int]]:
        """Indices of pieces; in a turn, all pieces of a row read the same copies."""
        found: list[list[int]] = [[]]
        last: dict[int, tuple[int, Any]] = {}
        for at, piece in enumerate(self.pieces):
            turn = 0
            if piece.up or piece.back:
                key = (piece.up, tuple(apart(piece.reads)) if piece.up else (), piece.occasion if piece.back else -1)
                turn, before = last.get(piece.row, (-1, None))
                turn += before != key
                last[piece.row] = (turn, key)
            if turn == len(found):
                found.append([])
            found[turn].append(at)
        return found


def laid(impl: Any, layer: Any, cache: torch.Tensor, borrowing: Borrowing, turn: int, at: list[int], query: Any) -> Any:
    """Lay the copies of a turn; returns metadata for its pieces and the indices of their query tokens in the batch."""
    pieces = [borrowing.pieces[index] for index in at]
    tokens = [
        range(borrowing.offsets[index], borrowing.offsets[index] + len_of(borrowing.pieces[index])) for index in at
    ]
    numbers: dict[int, int] = {}
    for row in dict.fromkeys(piece.row for piece in pieces if piece.up or piece.back):
        own = [index for index, piece in enumerate(pieces) if piece.row == row and (piece.up or piece.back)]
        asks = torch.cat([query[tokens[index].start : tokens[index].stop] for index in own])
        numbers[row] = _lay_row(impl, layer, cache, borrowing, [pieces[index] for index in own], asks)
    key = (turn, tuple(numbers.items()))
    if key not in borrowing.made:
        reading = [replace(piece, reads=_reads(piece, borrowing.width, numbers.get(piece.row, 0))) for piece in pieces]
        small = compact(reading, borrowing.table, borrowing.spec.block_size)
        indices = torch.cat([torch.arange(part.start, part.stop) for part in tokens]).to(query.device)
        borrowing.made[key] = (borrowing.build(small), indices)
    return borrowing.made[key]


def len_of(piece: Piece) -> int:
    """Query tokens of a piece."""
    return piece.stop - piece.start


def _lay_row(
    impl: Any, layer: Any, cache: torch.Tensor, borrowing: Borrowing, pieces: list[Piece], query: torch.Tensor
) -> int:
    """Lay one request's copies; returns how many absent blocks are among them."""
    piece, block = pieces[0], borrowing.spec.block_size
    places = apart(piece.reads) if piece.up else []
    slots = borrowing.table[piece.row, borrowing.width :].to(torch.int64)
    if places:
        ids = borrowing.table[piece.row, places].to(torch.int64)
        keys, values = LAYOUT.read(impl, layer, cache, ids)
        turned = borrowing.rope.moved(keys, _by(moved(places, piece.up, block), keys.device))
        write(impl, layer, cache, slots[: len(places)], turned, values)
    if not piece.back:
        return 0
    chosen = _choice(layer, borrowing, pieces, query)
    keys, values = (part.to(cache.device) for part in SHELVES.take(BOARD.name(piece.row), layer.layer_name, chosen))
    if piece.up:
        keys = torch.cat(
            [
                borrowing.rope.moved(
                    keys[:, :, head : head + 1],
                    _by(moved(chosen[head].tolist(), piece.up, block, len(places)), keys.device),
                )
                for head in range(keys.shape[2])
            ],
            2,
        )
    number = chosen.shape[1]
    write(impl, layer, cache, slots[len(places) : len(places) + number], keys, values)
    return number


def _choice(layer: Any, borrowing: Borrowing, pieces: list[Piece], query: torch.Tensor) -> torch.Tensor:
    first, request, rope = pieces[0], BOARD.name(pieces[0].row), borrowing.rope
    policy = BOARD.plan(request).policy or borrowing.spec.policy
    positions = torch.cat([torch.arange(piece.start, piece.stop) for piece in pieces]).to(query.device)
    free = rope.freed(query[:, None], positions)[:, 0]
    asked = free.unflatten(1, (layer.num_kv_heads, -1))
    SHELVES.complete(request, layer, pieces[-1].back, borrowing.table[first.row], rope, policy)
    chosen = SHELVES.choice(request, layer.layer_name, first.occasion, first.back, asked, policy)
    if BOARD.watch is not None:
        rows = tuple(tuple(row) for row in chosen.tolist())
        for piece in pieces:
            BOARD.watch(Back(request, piece.start, piece.stop, layer.layer_name, rows))
    return chosen


def _reads(piece: Piece, width: int, number: int) -> Retained:
    """Columns of the widened table: what lies apart, then what came back, then the query's own run."""
    if not piece.up and not piece.back:
        return piece.reads
    places = len(apart(piece.reads)) if piece.up else 0
    copies = range(width, width + places + number)
    head = () if piece.up else piece.reads[:-1]
    return (*head, copies, piece.reads[-1])


def _by(moves: list[Move], device: Any) -> torch.Tensor:
    return torch.tensor([move.by for move in moves], device=device)
