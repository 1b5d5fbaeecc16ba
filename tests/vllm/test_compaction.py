"""The tensors of KV policies, without an engine: compaction is a mask, blocks are chosen and turned as the papers say,
shelves give back what was put, and a layout is what a backend really writes."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.kv import BLOCKS, Asked, asked
from workers.kv.choosing import choose, scored
from workers.kv.compaction import by_block, compact
from workers.kv.errors import PolicyRefused
from workers.kv.policies import TABLE
from workers.kv.shelf import Shelf
from workers.kv.stream import blocks, runs
from workers.kv.turning import turned
from workers.vllm_plugin.layout import Layout, write

EXACT = 1e-12
HEADS, SIZE = 2, 8
NUMBERS = st.integers(0, 1 << 30)
steady = settings(deadline=None, derandomize=True, max_examples=40)


def attended(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """Dense softmax attention: query [n, size], keys and values [m, size], seen [n, m]."""
    scores = (query @ keys.T / keys.shape[1] ** 0.5).masked_fill(~seen, float("-inf"))
    return scores.softmax(-1) @ values


def paged(numbers: int, tokens: int, block: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Keys and values of a pool [blocks, tokens, size] and a table row for a context of `tokens`."""
    drawn = torch.Generator().manual_seed(numbers)
    width = -(-tokens // block)
    pool = torch.randn(2, width + 9, block, SIZE, generator=drawn, dtype=torch.float64)
    row = torch.randperm(width + 9, generator=drawn)[:width].to(torch.int32)
    return pool[0], pool[1], row


def by_mask(case: Asked, start: int, stop: int, numbers: int) -> torch.Tensor:
    """Queries [start, stop) over the whole context, under the mask that the policy's answers make."""
    keys, values, row = paged(numbers, stop, case.block)
    query = torch.randn(stop - start, SIZE, generator=torch.Generator().manual_seed(numbers + 1), dtype=torch.float64)
    seen = torch.zeros(stop - start, stop, dtype=torch.bool)
    for token in range(start, stop):
        for block in blocks(case.policy.retained(token // case.block, case.stream)):
            seen[token - start, block * case.block : min((block + 1) * case.block, token + 1)] = True
    whole = keys[row.long()].flatten(0, 1)[:stop], values[row.long()].flatten(0, 1)[:stop]
    return attended(query, *whole, seen)


@pytest.mark.parametrize("name", TABLE)
@given(st.data())
@settings(steady, max_examples=15)
def test_compaction_is_a_mask(name: str, data: st.DataObject) -> None:
    """What a kernel reads of a compacted row, bottom-right causal, is masked attention over the whole context."""
    case, numbers = data.draw(asked(name)), data.draw(NUMBERS)
    stop = case.query * case.block + data.draw(st.integers(1, case.block))
    start = data.draw(st.integers(max(0, stop - 4 * case.block), stop - 1))
    keys, values, row = paged(numbers, stop, case.block)
    query = torch.randn(stop - start, SIZE, generator=torch.Generator().manual_seed(numbers + 1), dtype=torch.float64)
    pieces = list(by_block(0, start, stop, case.block, lambda at: case.policy.retained(at, case.stream)))
    small = compact(pieces, row[None], case.block)
    found = []
    for at, length in enumerate(small.lengths.tolist()):
        asks = query[small.query_start[at] : small.query_start[at + 1]]
        own = small.table[at, : -(-length // case.block)].long()
        causal = torch.ones(len(asks), length, dtype=torch.bool).tril(length - len(asks))
        read = keys[own].flatten(0, 1)[:length], values[own].flatten(0, 1)[:length]
        found.append(attended(asks, *read, causal))

    assert (torch.cat(found) - by_mask(case, start, stop, numbers)).abs().max() <= EXACT


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(1, 100)), min_size=1, max_size=5), BLOCKS)
@steady
def test_rows_of_a_batch_stay_apart(batch: list[tuple[int, int]], block: int) -> None:
    """Each piece has its own row's blocks, its own length, and zeros behind; query tokens keep their order."""
    table = torch.randperm(200).to(torch.int32)[: len(batch) * 26].reshape(len(batch), 26)
    reads = [runs(sorted({0, max(0, at - 1), at})) for at in range(30)]
    pieces = [
        piece
        for row, (start, n) in enumerate(batch)
        for piece in by_block(row, start, start + n, block, reads.__getitem__)
    ]
    small = compact(pieces, table, block)

    assert (small.tokens, small.longest) == (sum(n for _, n in batch), int(small.lengths.max()))
    assert small.query_start.diff().tolist() == [piece.stop - piece.start for piece in pieces]
    assert small.longest_query == int(small.query_start.diff().max())
    for at, piece in enumerate(pieces):
        own = table[piece.row, list(blocks(piece.reads))].tolist()
        assert small.table[at].tolist() == own + [0] * (small.table.shape[1] - len(own))


@given(
    NUMBERS,
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from(["topk", "mass", "coverage", "runs"]),
    st.floats(0.1, 1),
)
@steady
def test_each_head_gets_as_many_blocks_in_ascending_order(
    numbers: int, absent: int, budget: int, select: str, mass: float
) -> None:
    """Distinct ones, at most the budget, and the best one always."""
    scores = torch.randn(HEADS, absent, generator=torch.Generator().manual_seed(numbers)) * 3
    chosen = choose(scores, budget, select, mass)

    assert 1 <= chosen.shape[1] <= min(budget, absent)
    assert select == "mass" or chosen.shape == (HEADS, min(budget, absent))
    assert (chosen.diff(dim=-1) > 0).all()
    assert all(best in row for best, row in zip(scores.argmax(-1).tolist(), chosen.tolist(), strict=True))


@given(NUMBERS, st.integers(2, 40), st.integers(1, 40))
@steady
def test_topk_leaves_out_nothing_better(numbers: int, absent: int, budget: int) -> None:
    """In each head by itself."""
    scores = torch.randn(HEADS, absent, generator=torch.Generator().manual_seed(numbers))
    chosen = choose(scores, budget, "topk", 1.0)
    left = scores.scatter(1, chosen, float("-inf"))

    assert (scores.gather(1, chosen).min(-1).values >= left.max(-1).values).all()


@given(NUMBERS, st.integers(1, 40), st.floats(0.1, 0.99))
@steady
def test_mass_is_reached_with_the_fewest_blocks(numbers: int, absent: int, mass: float) -> None:
    """Every head reaches it, and with one block less some head would not."""
    scores = torch.randn(HEADS, absent, generator=torch.Generator().manual_seed(numbers)) * 3
    number = choose(scores, absent, "mass", mass).shape[1]
    shares = scores.double().softmax(-1).sort(-1, descending=True).values

    assert (shares[:, :number].sum(-1) >= mass - 1e-5).all()
    assert (shares[:, : number - 1].sum(-1) < mass + 1e-5).any()


@given(NUMBERS, st.integers(2, 60), st.integers(1, 40))
@steady
def test_coverage_takes_something_from_every_stretch_of_time(numbers: int, absent: int, budget: int) -> None:
    """Half the budget goes to the best blocks, wherever they are; the rest to as many equal stretches."""
    scores = torch.randn(HEADS, absent, generator=torch.Generator().manual_seed(numbers))
    chosen = choose(scores, budget, "coverage", 1.0)
    best, number = max(1, budget // 2), min(budget, absent)
    stretches = number - best
    for own, of in zip(chosen.tolist(), scores, strict=True):
        assert set(of.topk(min(best, number)).indices.tolist()) <= set(own)
        for at in range(stretches if budget < absent else 0):
            low, high = round(at * absent / stretches), round((at + 1) * absent / stretches)
            assert any(low <= block < high for block in own)


@given(NUMBERS, st.integers(2, 60), st.integers(2, 40))
@steady
def test_runs_bring_what_follows_each_of_the_best(numbers: int, absent: int, budget: int) -> None:
    """Half the budget is for the best blocks, and room is left for the next one of each; the rest goes by score."""
    scores = torch.randn(HEADS, absent, generator=torch.Generator().manual_seed(numbers))
    chosen = choose(scores, budget, "runs", 1.0)
    for own, of in zip(chosen.tolist(), scores, strict=True):
        best = of.topk(min(max(1, budget // 2), absent)).indices.tolist()
        must = {*best, *(at + 1 for at in best if at + 1 < absent)}
        left = [float(of[at]) for at in range(absent) if at not in own]

        assert must <= set(own)
        assert all(float(of[at]) >= max(left) for at in set(own) - must if left)


@given(NUMBERS, st.integers(1, 6), st.integers(1, 3), st.integers(1, 9), st.integers(1, 4))
@steady
def test_a_block_s_score_is_the_largest_share_that_any_query_gives_it(
    numbers: int, tokens: int, group: int, absent: int, keys: int
) -> None:
    """Attention over all absent keys as if there were no others; for each KV head, by its own query heads."""
    drawn = torch.Generator().manual_seed(numbers)
    queries = torch.randn(tokens, HEADS, group, SIZE, generator=drawn) * 2
    marks = torch.randn(absent, keys, HEADS, SIZE, generator=drawn)
    found = scored(queries, marks)

    assert found.shape == (HEADS, absent)
    for head in range(HEADS):
        asks = queries[:, head].flatten(0, 1).double()
        weights = (asks @ marks[:, :, head].flatten(0, 1).double().T / SIZE**0.5).softmax(-1)
        largest = weights.view(len(asks), absent, keys).sum(-1).amax(0)
        assert (found[head].exp() - largest).abs().max() <= 1e-5


def rope(longest: int, half: int) -> torch.Tensor:
    """vLLM's table: cosines, then sines."""
    angles = torch.arange(longest)[:, None] * 10000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
    return torch.cat((angles.cos(), angles.sin()), -1)


def written(vectors: torch.Tensor, at: torch.Tensor, half: int, neox: bool) -> torch.Tensor:
    """RoPE as complex numbers: [n, tokens, heads, size] in double precision, written at positions `at` [n, tokens]."""
    turning, rest = vectors[..., : 2 * half], vectors[..., 2 * half :]
    pairs = torch.stack(turning.chunk(2, -1), -1) if neox else turning.unflatten(-1, (half, 2))
    angles = at[..., None] * 10000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
    put = torch.view_as_real(
        torch.view_as_complex(pairs.contiguous()) * torch.polar(torch.ones_like(angles), angles)[:, :, None]
    )
    flat = torch.cat((put[..., 0], put[..., 1]), -1) if neox else put.flatten(-2)
    return torch.cat((flat, rest), -1)


@pytest.mark.parametrize("neox", [True, False], ids=["halves", "neighbours"])
@pytest.mark.parametrize("half", [4, 3], ids=["all-dimensions", "some-dimensions"])
@given(NUMBERS, st.lists(st.integers(-500, 500), min_size=1, max_size=4))
@steady
def test_a_turned_key_is_one_that_was_written_there(half: int, neox: bool, numbers: int, by: list[int]) -> None:
    """Forward and backward, whichever dimensions are paired, with those that do not turn."""
    plain = torch.randn(len(by), 3, HEADS, SIZE, generator=torch.Generator().manual_seed(numbers), dtype=torch.float64)
    first = torch.full((len(by), 1), 500) + torch.arange(3)
    before, after = (written(plain, at, half, neox) for at in (first, first + torch.tensor(by)[:, None]))
    found = turned(before.float(), torch.tensor(by), rope(1001, half).float(), neox)

    assert (found - after).abs().max() <= 1e-5
    assert torch.equal(found[..., 2 * half :], before.float()[..., 2 * half :])


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 25)), max_size=8), st.integers(0, 9), NUMBERS)
@steady
def test_a_shelf_gives_back_what_was_put_there_last(puts: list[tuple[int, int]], base: int, numbers: int) -> None:
    """Head by head, also after a request was preempted and hands its blocks in again."""
    drawn = torch.Generator().manual_seed(numbers)
    shelf, known = Shelf(base), dict[int, tuple[torch.Tensor, ...]]()
    for back, number in [(0, 1), *puts]:
        start = base + max(0, shelf.number - back)
        keys, values = torch.randn(2, number, 4, HEADS, SIZE, generator=drawn)
        marks = torch.randn(number, 3, HEADS, SIZE, generator=drawn)
        shelf.put(start, keys, values, marks)
        known.update({start + at: (keys[at], values[at], marks[at]) for at in range(number)})
    chosen = torch.randint(base, base + shelf.number, (HEADS, 5), generator=drawn)
    keys, values = shelf.take(chosen)

    assert sorted(known) == list(range(base, base + shelf.number))
    assert torch.equal(
        shelf.marks(range(base, base + shelf.number)), torch.stack([known[at][2] for at in sorted(known)])
    )
    for head, own in enumerate(chosen.tolist()):
        for at, block in enumerate(own):
            assert torch.equal(keys[at, :, head], known[block][0][:, head])
            assert torch.equal(values[at, :, head], known[block][1][:, head])


@pytest.mark.parametrize("at", [4, 7])
def test_a_shelf_has_no_gaps(at: int) -> None:
    """A block before its first one or beyond its last would be found under another's number."""
    shelf, one = Shelf(5), torch.zeros(1, 4, HEADS, SIZE)
    shelf.put(5, one, one, one)

    with pytest.raises(ValueError, match=f"Block {at} cannot follow"):
        shelf.put(at, one, one, one)


class Packing:
    """An attention implementation that puts a block's numbers in an order of its own; `spoil` is done to each."""

    num_kv_heads, head_size = HEADS, SIZE

    def __init__(self, tokens: int, seed: int, spoil: Any = None) -> None:
        self._order = torch.randperm(2 * tokens * HEADS * SIZE, generator=torch.Generator().manual_seed(seed))
        self._tokens, self._spoil = tokens, spoil or (lambda numbers: numbers)

    def do_kv_cache_update(self, layer: Any, key: Any, value: Any, cache: Any, slots: Any) -> None:
        """Token by token, as vLLM's kernels may be called."""
        for kind_, new in enumerate((key, value)):
            for token, slot in enumerate(slots.tolist()):
                first = (kind_ * self._tokens + slot % self._tokens) * HEADS * SIZE
                places = self._order[first : first + HEADS * SIZE]
                cache[slot // self._tokens].view(-1)[places] = self._spoil(new[token].flatten())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("tokens", [4, 16])
def test_a_layout_is_learned_from_what_a_backend_writes(tokens: int, dtype: torch.dtype) -> None:
    """Whatever the order, blocks read back are the keys and values that were written, and the pool is untouched."""
    impl, layout = Packing(tokens, seed=tokens), Layout()
    cache = torch.zeros(6, 2, HEADS, tokens, SIZE, dtype=dtype)
    keys, values = torch.randn(2, 3, tokens, HEADS, SIZE).to(dtype)
    ids = torch.tensor([4, 1, 3])
    write(impl, None, cache, ids, keys, values)
    before = cache.clone()
    found = layout.read(impl, None, cache, ids)

    assert torch.equal(found[0], keys)
    assert torch.equal(found[1], values)
    assert torch.equal(cache, before)


@pytest.mark.parametrize(
    "spoil",
    [lambda numbers: numbers // 2, lambda numbers: numbers * 0, lambda numbers: numbers.clamp(max=9)],
    ids=["coarser", "nothing", "clipped"],
)
def test_a_backend_that_keeps_less_than_it_is_given_is_refused(spoil: Any) -> None:
    """Blocks read from it would not be what was written."""
    with pytest.raises(PolicyRefused, match="as they are"):
        Layout().read(Packing(4, 1, spoil), None, torch.zeros(3, 2, HEADS, 4, SIZE), torch.tensor([1]))


def test_a_cache_that_holds_more_than_keys_and_values_is_refused() -> None:
    """Scales beside them, say: a block is then not all of it."""
    with pytest.raises(PolicyRefused, match="more than keys and values"):
        Layout().read(Packing(4, 1), None, torch.zeros(3, 2, HEADS, 4, SIZE + 1), torch.tensor([1]))
