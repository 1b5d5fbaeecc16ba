"""vLLM's block manager under a policy: asks what the request retains, gives back the rest, and finds prefixes of which
only the retained part is cached. Never decides by itself."""

from collections.abc import Sequence
from typing import Any

from vllm.v1.core.kv_cache_utils import resolve_block_hashes
from vllm.v1.core.single_type_kv_cache_manager import SlidingWindowManager

from workers.kv.choice import held
from workers.kv.policies.base import Policy
from workers.kv.positions import shift
from workers.kv.stream import NOTHING_KNOWN, Retained, Stream, blocks, count, joined, runs, within
from workers.vllm_plugin.ledger import LEDGER, Entry
from workers.vllm_plugin.spec import PolicySpec


class PolicyManager(SlidingWindowManager):
    """Blocks that are not retained become vLLM's null block in the request's table, wherever they stand in it."""

    def __init__(self, kv_cache_spec: PolicySpec, **others: Any) -> None:
        super().__init__(kv_cache_spec, **others)
        self._live: dict[str, tuple[Retained, int]] = {}
        self._copies: dict[str, list[Any]] = {}

    def _policy(self, request_id: str) -> Policy:
        entry = LEDGER.entries.get(request_id)
        policy: Policy = entry.policy if entry is not None and entry.policy is not None else self.kv_cache_spec.policy
        return policy

    def get_num_skipped_tokens(self, num_computed_tokens: int) -> int:
        """The head is never skipped; gaps are `remove_skipped_blocks`' part."""
        return 0

    def get_num_blocks_to_allocate(self, request_id: str, num_tokens: int, *known: Any, **others: Any) -> int:
        """As vLLM counts, under the cap of this request's own policy, and the blocks for copies that it will need."""
        policy = self._policy(request_id)
        self.max_admission_blocks_per_request = held(
            policy, self.block_size, LEDGER.in_flight, LEDGER.longest, self.kv_cache_spec.trained
        )
        needed: int = super().get_num_blocks_to_allocate(request_id, num_tokens, *known, **others)
        if request_id not in self.num_cached_block and not others.get("apply_admission_cap"):
            _, total, cached, *_ = known
            external = self._external(request_id, cached, total - cached)
            needed -= self._blocks(total) - self._blocks(cached) - count(external)
        return needed + self._missing(request_id, policy, num_tokens)

    def allocate_external_computed_blocks(
        self,
        request_id: str,
        num_local_computed_tokens: int,
        num_external_computed_tokens: int,
        record_for_zeroing: bool = True,
    ) -> None:
        """Of the tokens that a KV connector brings only those that will be read get blocks; null blocks stand for the
        rest."""
        external = self._external(request_id, num_local_computed_tokens, num_external_computed_tokens)
        fresh = self.block_pool.get_new_blocks(count(external))
        table = self.req_to_blocks[request_id]
        until = self._blocks(num_local_computed_tokens + num_external_computed_tokens)
        table.extend([self._null_block] * (until - len(table)))
        for at, block in zip(blocks(external), fresh, strict=True):
            table[at] = block
        if self.records_new_block_ids and record_for_zeroing:
            self.new_block_ids.extend(block.block_id for block in fresh)

    def _external(self, request_id: str, cached: int, brought: int) -> Retained:
        """What the next query reads of `brought` tokens that come from elsewhere, after `cached` ones of the pool's."""
        policy, entry = self._policy(request_id), LEDGER.entries.get(request_id)
        stream = entry.stream(policy, None) if entry is not None else NOTHING_KNOWN
        read = policy.retained((cached + brought) // self.block_size, stream)
        return within(read, self._blocks(cached), self._blocks(cached + brought))

    def _blocks(self, tokens: int) -> int:
        return -(-tokens // self.block_size)

    def allocate_new_blocks(self, request_id: str, num_tokens: int, num_tokens_main_model: int) -> list[Any]:
        """The blocks that go into the table; those for copies are kept beside it."""
        new: list[Any] = super().allocate_new_blocks(request_id, num_tokens, num_tokens_main_model)
        missing = self._missing(request_id, self._policy(request_id), num_tokens)
        if missing:
            copies = self._copies.setdefault(request_id, [])
            copies.extend(self.block_pool.get_new_blocks(missing))
            entry = LEDGER.entries.get(request_id)
            if entry is not None:
                entry.copies = tuple(block.block_id for block in copies)
        return new

    def _missing(self, request_id: str, policy: Policy, num_tokens: int) -> int:
        """Blocks for copies that the queries up to `num_tokens` need and the request has not."""
        query = max(0, num_tokens - 1) // self.block_size
        entry = LEDGER.entries.get(request_id)
        stream = Stream(prompt=entry.prompt) if entry is not None else NOTHING_KNOWN
        needed = policy.room() if policy.absent(query, stream) else 0
        if shift(query, policy, self.block_size, self.kv_cache_spec.trained):
            needed += policy.apart()
        return max(0, needed - len(self._copies.get(request_id, ())))

    def remove_skipped_blocks(
        self, request_id: str, processed_computed_tokens: int, num_prompt_tokens: int | None = None
    ) -> None:
        """Give back what a query at `processed_computed_tokens` and all later ones no longer read."""
        table = self.req_to_blocks.get(request_id)
        if not table:
            return
        policy, query = self._policy(request_id), processed_computed_tokens // self.block_size
        known = self._live.get(request_id)
        if known is None:
            live, length = runs(at for at, block in enumerate(table) if not block.is_null), len(table)
        else:
            live, length = joined((*known[0], range(known[1], len(table)))), len(table)
        entry = LEDGER.entries.get(request_id)
        stream = entry.stream(policy, live) if entry is not None else Stream(live)
        kept = joined((*policy.retained(query, stream), range(query + 1, length)))
        kept = _common(live, kept)
        self._give_back(table, live, kept, entry if policy.room() else None)
        self._live[request_id] = (kept, length)
        if entry is not None:
            entry.live = kept

    def _give_back(self, table: list[Any], live: Retained, kept: Retained, shelving: Entry | None) -> None:
        stay = set(blocks(kept))
        gone = [at for at in blocks(live) if at not in stay]
        if shelving is not None and gone:
            shelving.leaving += tuple((at, table[at].block_id) for at in gone)
        freed = [table[at] for at in gone]
        for at in gone:
            table[at] = self._null_block
        if freed:
            self.block_pool.free_blocks(freed)

    def cache_blocks(self, request: Any, num_tokens: int, *known: Any, **others: Any) -> None:
        """Only blocks whose KV follows from their prefix may be found by others."""
        if self._policy(request.request_id).SHAREABLE:
            super().cache_blocks(request, num_tokens, *known, **others)
        else:
            self.num_cached_block[request.request_id] = num_tokens // self.block_size

    def pop_blocks_for_free(self, request_id: str) -> list[Any]:
        """The request has ended or was preempted."""
        self._live.pop(request_id, None)
        table: list[Any] = super().pop_blocks_for_free(request_id)
        entry = LEDGER.entries.get(request_id)
        if entry is not None:
            entry.live, entry.copies, entry.leaving = None, (), ()
        return table + self._copies.pop(request_id, [])

    @classmethod
    def reachable_block_mask(cls, *known: Any, **others: Any) -> None:
        """Every block may be part of a hit."""
        return None

    @classmethod
    def find_longest_cache_hit(
        cls,
        block_hashes: Any,
        max_length: int,
        kv_cache_group_ids: list[int],
        block_pool: Any,
        kv_cache_spec: PolicySpec,
        drop_eagle_block: bool,
        alignment_tokens: int,
        **worlds: int,
    ) -> tuple[tuple[list[Any], ...], int]:
        """The longest prefix of which all that its next query reads is cached; null blocks stand for the rest."""
        asking = LEDGER.asking
        policy = (asking.policy if asking else None) or kv_cache_spec.policy
        nothing: tuple[list[Any], ...] = tuple([] for _ in kv_cache_group_ids)
        if not policy.SHAREABLE or drop_eagle_block:
            return nothing, 0
        size = kv_cache_spec.block_size
        hashes = resolve_block_hashes(
            block_hashes,
            block_pool.hash_block_size,
            size,
            supports_fine_grained_hash_lookup=False,
            alignment_tokens=alignment_tokens,
        )
        found = _Found(block_pool, hashes, kv_cache_group_ids)
        stream = asking.stream(policy, None) if asking else NOTHING_KNOWN
        step = max(1, alignment_tokens // size)
        for length in range(max_length // size // step * step, 0, -step):
            needed = within(policy.retained(length, stream), 0, length)
            if all(found.at(block) for block in reversed(list(blocks(needed)))):
                return found.table(length, needed), length * size
        return nothing, 0


class _Found:
    """Look-ups in the pool, each made once."""

    def __init__(self, pool: Any, hashes: Sequence[Any], groups: list[int]) -> None:
        self._pool, self._hashes, self._groups = pool, hashes, groups
        self._known: dict[int, Any] = {}

    def at(self, block: int) -> Any:
        """The cached blocks of this position, one per group; None or empty if they are not all cached."""
        if block not in self._known:
            self._known[block] = self._pool.get_cached_block(self._hashes[block], self._groups)
        return self._known[block]

    def table(self, length: int, needed: Retained) -> tuple[list[Any], ...]:
        """Rows of `length` blocks, one per group."""
        rows = tuple([self._pool.null_block] * length for _ in self._groups)
        for block in blocks(needed):
            for row, cached in zip(rows, self.at(block), strict=True):
                row[block] = cached
        return rows


def _common(one: Retained, other: Retained) -> Retained:
    """The blocks that are in both."""
    return joined(
        sorted(
            (range(max(a.start, b.start), min(a.stop, b.stop)) for a in one for b in other),
            key=lambda part: part.start,
        )
    )
