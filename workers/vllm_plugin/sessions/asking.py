"""The scheduler's half: which blocks of its session's file a new request takes up, which of an ended one's go into it.
Reads what files say of themselves; never touches KV."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from vllm.logger import init_logger
from vllm.v1.core.kv_cache_utils import resolve_block_hashes
from vllm.v1.kv_cache_interface import FullAttentionSpec
from vllm.v1.request import RequestStatus

from workers.kv.errors import PolicyRefused
from workers.kv.keep import Kept, differing, once_more, restorable, session_key, shared
from workers.kv.policies.base import Policy
from workers.kv.policies.full import Full
from workers.kv.stream import NOTHING_KNOWN, Stream, blocks
from workers.vllm_plugin.ledger import LEDGER
from workers.vllm_plugin.salt import unsalted
from workers.vllm_plugin.sessions.counts import SessionCounts
from workers.vllm_plugin.sessions.folder import Folder, Unreadable
from workers.vllm_plugin.sessions.orders import Load, Orders, Part, Save
from workers.vllm_plugin.spec import PolicySpec

_LOG = init_logger("vllm.mneme.sessions")


class Asking:
    """One per engine process. `facts` stays None until the worker has told them."""

    def __init__(self, folder: Folder, specs: Sequence[Any]) -> None:
        self._folder = folder
        self._policies = [_policy_of(spec) for spec in specs]
        self._block = specs[0].block_size
        if any(spec.block_size != self._block for spec in specs):
            raise PolicyRefused(
                "Sessions: this model's layers have blocks of several sizes; serve it without --sessions."
            )
        self.facts: dict[str, str] | None = None
        self.pool: Any = None
        self.counts = SessionCounts()
        self._orders = Orders()
        self._files: dict[str, Kept | None] = {}
        self._loading: dict[str, int] = {}
        self._left: set[str] = set()
        self._failed: set[str] = set()

    def match(self, request: Any, cached: int) -> int:
        """How many tokens beyond the `cached` ones the request's session file can give; asked again and again while the
        request waits for room."""
        if request.request_id in self._failed or not self._takes_part(request):
            return 0
        kept = self._file(request)
        if kept is None:
            return 0
        common = shared(self._hashes(request), kept.hashes)
        needs = [partial(policy.retained, stream=stream) for policy, stream in self._asked(request.request_id)]
        first = cached // self._block
        limit = min(common, (request.num_tokens - 1) // self._block)  # the last token is computed, for its logits
        return (restorable(kept.groups, needs, first, limit) - first) * self._block

    def allocated(self, request: Any, tables: Sequence[Sequence[int]], tokens: int) -> None:
        """vLLM has made room for `tokens` of the file's; `tables`: pool ids, one row per group."""
        kept = self._files.pop(request.request_id, None)
        if not tokens or kept is None:
            return
        until = len(tables[0])
        first = until - tokens // self._block
        parts = []
        for table, group in zip(tables, kept.groups, strict=True):
            rows = {place: row for row, place in enumerate(blocks(group))}
            places = tuple(at for at in range(first, until) if table[at] != self.pool.null_block.block_id)
            parts.append(Part(places, tuple(table[at] for at in places), tuple(rows[at] for at in places)))
        self._orders.loads.append(Load(request.request_id, _key(request), kept.digest, tuple(parts)))
        self._loading[request.request_id] = tokens

    def arrived(self, finished: set[str], failed: set[str]) -> None:
        """Loads that have ended; a request whose load failed computes everything itself."""
        for request in finished:
            tokens = self._loading.pop(request)
            if request in self._left:
                self._left.remove(request)
                LEDGER.forget(request)  # it ended while it waited, and vLLM had to hold it until now
            elif request in failed:
                self._failed.add(request)
            else:
                self.counts.add("restored")
                self.counts.add("restored_tokens", tokens)

    def ended(self, request: Any, tables: Sequence[Sequence[int]]) -> None:
        """A request is over: have the blocks saved that its session's next turn reads. They may go all the same: the
        worker copies them before it runs the next step, the first that could overwrite them."""
        self._files.pop(request.request_id, None)
        self._failed.discard(request.request_id)
        if request.request_id in self._loading:
            self._left.add(request.request_id)
            return
        computed = request.num_computed_tokens - request.num_in_flight_tokens
        hashes = self._hashes(request)[: max(0, computed) // self._block]
        if not hashes or request.status == RequestStatus.FINISHED_ERROR or not self._takes_part(request):
            return
        again = min(request.num_prompt_tokens // self._block, len(hashes))
        parts = tuple(
            self._part(group, table[: len(hashes)], hashes, policy.retained(again, stream), again)
            for group, (table, (policy, stream)) in enumerate(zip(tables, self._asked(request.request_id), strict=True))
        )
        self._orders.saves.append(Save(_key(request), self._facts(request), hashes, parts))

    def orders(self) -> Orders:
        """What the worker must do with this step; asked once."""
        orders, self._orders = self._orders, Orders()
        return orders

    def _part(self, group: int, table: Sequence[int], hashes: Sequence[bytes], needed: Any, again: int) -> Part:
        """What the request still holds, and what the pool has not yet given away of its prompt's last window."""
        held = {at: block for at, block in enumerate(table) if block != self.pool.null_block.block_id}
        wanted = once_more(held, needed, again)
        found = [self.pool.get_cached_block(hashes[at], [group]) for at in wanted]
        if all(found):
            held.update({at: cached[0].block_id for at, cached in zip(wanted, found, strict=True)})
        places = tuple(sorted(held))
        return Part(places, tuple(held[at] for at in places))

    def _file(self, request: Any) -> Kept | None:
        """What the session's file holds for this request, looked at once."""
        if request.request_id not in self._files:
            self._files[request.request_id] = self._looked_at(request)
        return self._files[request.request_id]

    def _looked_at(self, request: Any) -> Kept | None:
        key = _key(request)
        try:
            kept = self._folder.peek(key)
        except Unreadable as reason:
            self.counts.add("unreadable")
            _LOG.warning("Session file %s is not read: %s", key[:12], reason)
            return None
        others = differing(kept.facts, self._facts(request)) if kept else []
        if others:
            self.counts.add("mismatched")
            _LOG.info("Session file %s is not used: it has another %s.", key[:12], ", ".join(others))
            return None
        return kept

    def _takes_part(self, request: Any) -> bool:
        """Whether its KV follows from its tokens alone, so that any engine's is as good."""
        known = bool(request.session_id) and self.facts is not None
        return known and all(policy.SHAREABLE for policy, _ in self._asked(request.request_id))

    def _asked(self, request_id: str) -> list[tuple[Policy, Stream]]:
        """The policy of each group and what it is asked with."""
        entry = LEDGER.entries.get(request_id)
        if entry is None:
            return [(policy, NOTHING_KNOWN) for policy in self._policies]
        found = [entry.policy or policy for policy in self._policies]
        return [(policy, entry.stream(policy, None)) for policy in found]

    def _facts(self, request: Any) -> dict[str, str]:
        entry = LEDGER.entries.get(request.request_id)
        return {**(self.facts or {}), "policy": entry.choice.key if entry else "none"}

    def _hashes(self, request: Any) -> tuple[bytes, ...]:
        found = resolve_block_hashes(request.block_hashes, self.pool.hash_block_size, self._block)
        return tuple(bytes(found[at]) for at in range(len(found)))


def _key(request: Any) -> str:
    return session_key(unsalted(request.cache_salt), request.session_id)


def _policy_of(spec: Any) -> Policy:
    if isinstance(spec, PolicySpec):
        policy: Policy = spec.policy
        return policy
    if type(spec) is FullAttentionSpec:
        return Full()
    raise PolicyRefused(f"Sessions: {type(spec).__name__} is not plain attention; serve this model without --sessions.")
