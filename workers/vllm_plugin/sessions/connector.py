"""vLLM's KV connector for sessions: each of its hooks, handed to the scheduler's half or to the worker's. No logic."""

from pathlib import Path
from typing import Any

from vllm.distributed.kv_transfer.kv_connector.v1.base import (
    KVConnectorBase_V1,
    KVConnectorRole,
    KVConnectorTransferResults,
    SupportsHMA,
)
from vllm.v1.metrics.cache_hit_source import CacheHitSource

from workers.kv.errors import PolicyRefused
from workers.vllm_plugin.sessions import DEFAULT_BOUND
from workers.vllm_plugin.sessions.asking import Asking
from workers.vllm_plugin.sessions.counts import SessionCounts, SessionMetrics
from workers.vllm_plugin.sessions.facts import engine_facts
from workers.vllm_plugin.sessions.folder import Folder
from workers.vllm_plugin.sessions.keeping import Keeping
from workers.vllm_plugin.sessions.orders import Facts, Orders


class SessionConnector(KVConnectorBase_V1, SupportsHMA):
    """vLLM makes one in the scheduler's process and one in the worker's."""

    _cache_hit_source = CacheHitSource.DISK

    def __init__(self, vllm_config: Any, role: KVConnectorRole, kv_cache_config: Any) -> None:
        super().__init__(vllm_config=vllm_config, role=role, kv_cache_config=kv_cache_config)
        _refuse(vllm_config, kv_cache_config)
        told = self._kv_transfer_config.kv_connector_extra_config
        folder = Folder(Path(told["directory"]), int(told.get("bound", DEFAULT_BOUND)))
        folder.open()
        groups = kv_cache_config.kv_cache_groups
        self._facts: dict[str, str] = {}
        if role == KVConnectorRole.SCHEDULER:
            self._asking = Asking(folder, [group.kv_cache_spec for group in groups])
        else:
            self._keeping = Keeping(folder, [group.layer_names for group in groups])

    @property
    def requires_kv_delivery(self) -> bool:
        """A session that is not saved is computed again."""
        return False

    # in the scheduler's process

    def bind_gpu_block_pool(self, gpu_block_pool: Any) -> None:
        """vLLM's pool of blocks."""
        self._asking.pool = gpu_block_pool

    def set_xfer_handshake_metadata(self, metadata: dict[int, Any]) -> None:
        """What the worker's KV depends on, once at start."""
        (told,) = metadata.values()
        self._asking.facts = told.facts

    def get_num_new_matched_tokens(self, request: Any, num_computed_tokens: int) -> tuple[int, bool]:
        """Tokens that the session's file can give; they are loaded while others run."""
        tokens = self._asking.match(request, num_computed_tokens)
        return tokens, tokens > 0

    def update_state_after_alloc(self, request: Any, blocks: Any, num_external_tokens: int) -> None:
        """There is room."""
        self._asking.allocated(request, blocks.get_block_ids(), num_external_tokens)

    def build_connector_meta(self, scheduler_output: Any) -> Orders:
        """What the worker must do with this step."""
        return self._asking.orders()

    def update_connector_output(self, connector_output: Any) -> None:
        """Loads have ended."""
        self._asking.arrived(connector_output.finished_recving or set(), connector_output.failed_recving)

    def request_finished_all_groups(self, request: Any, block_ids: tuple[list[int], ...]) -> tuple[bool, None]:
        """Its blocks may go: see `Asking.ended`."""
        self._asking.ended(request, block_ids)
        return False, None

    # in the worker's process

    def register_kv_caches(self, kv_caches: dict[str, Any]) -> None:
        """The pool itself."""
        self._keeping.open(kv_caches)
        self._facts = engine_facts(self._vllm_config, kv_caches)

    def get_handshake_metadata(self) -> Facts:
        """For the scheduler's half."""
        return Facts(self._facts)

    def handle_preemptions(self, kv_connector_metadata: Any) -> None:
        """The first that happens in a step: blocks that were given back still hold what they held."""
        for order in kv_connector_metadata.saves:
            self._keeping.save(order)

    def start_load_kv(self, forward_context: Any, **others: Any) -> None:
        """Beside the step."""
        orders = self._get_connector_metadata()
        for order in orders.loads:
            self._keeping.load(order)

    def get_transfer_results(self, finished_req_ids: set[str]) -> KVConnectorTransferResults:
        """Loads that have ended."""
        finished, failed = self._keeping.arrived()
        return KVConnectorTransferResults(finished_recving=finished, failed_recving=failed)

    def wait_for_layer_load(self, layer_name: str) -> None:
        """Requests wait for all of their layers."""

    def save_kv_layer(self, layer_name: str, kv_layer: Any, attn_metadata: Any, **others: Any) -> None:
        """Sessions are saved when they end."""

    def wait_for_save(self) -> None:
        """What is being written is a copy."""

    # in both

    def get_kv_connector_stats(self) -> SessionCounts | None:
        """Counted since the last step."""
        half = self._asking if self.role == KVConnectorRole.SCHEDULER else self._keeping
        return half.counts.take()

    def shutdown(self) -> None:
        """Finish writing."""
        if self.role == KVConnectorRole.WORKER:
            self._keeping.close()

    # in the API process

    @classmethod
    def build_kv_connector_stats(cls, data: dict[str, Any] | None = None) -> SessionCounts:
        """As they were, out of what travelled."""
        return SessionCounts(data or {})

    @classmethod
    def build_prom_metrics(cls, *known: Any, **others: Any) -> SessionMetrics:
        """Counters for /metrics."""
        return SessionMetrics(*known, **others)


def _refuse(vllm_config: Any, kv_cache_config: Any) -> None:
    told = vllm_config.kv_transfer_config
    reasons = {
        "more than one worker process for a model": vllm_config.parallel_config.world_size > 1,
        "speculative decoding": vllm_config.speculative_config is not None,
        "a cache whose blocks must be cleared": kv_cache_config.needs_kv_cache_zeroing,
        f"the hash {vllm_config.cache_config.prefix_caching_hash_algo}, which starts anew in every process": "xxhash"
        in vllm_config.cache_config.prefix_caching_hash_algo,
        "kv_load_failure_policy=fail": told.kv_load_failure_policy != "recompute",
        "no directory": "directory" not in told.kv_connector_extra_config,
    }
    for reason, holds in reasons.items():
        if holds:
            raise PolicyRefused(f"Sessions do not go with {reason}; serve without --sessions.")
