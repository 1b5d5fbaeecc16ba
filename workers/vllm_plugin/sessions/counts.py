"""What happened to sessions, counted, for vLLM's /metrics and its log. Decides nothing."""

from collections import Counter as Tally
from typing import Any

from prometheus_client import Counter
from vllm.distributed.kv_transfer.kv_connector.v1.metrics import KVConnectorPromMetrics, KVConnectorStats
from vllm.v1.metrics.utils import create_metric_per_engine

MEANINGS = {
    "saved": "Sessions written to their files.",
    "saved_bytes": "Bytes of session files written.",
    "unchanged": "Sessions not written, for their file held as much, or would alone exceed the directory's bound.",
    "busy": "Sessions not written, for the disk was behind.",
    "failed": "Sessions not written, for the disk or the memory refused.",
    "evicted": "Session files removed to keep the directory within its bound.",
    "restored": "Requests that took up a session's file.",
    "restored_tokens": "Tokens of context that were loaded instead of computed.",
    "mismatched": "Requests whose session file came from another model, engine or KV policy.",
    "unreadable": "Requests whose session file was torn, foreign or replaced.",
}
_PREFIX = "vllm:mneme_session_"  # vLLM clears away, and shows, what bears its own name


class SessionCounts(KVConnectorStats):
    """`data` holds numbers by name since they were last taken. It travels from workers to the API process."""

    data: dict[str, int]

    def add(self, name: str, number: int = 1) -> None:
        """Count one thing, or many."""
        if number:
            self.data[name] = self.data.get(name, 0) + number

    def take(self) -> "SessionCounts | None":
        """What was counted since the last time; None for nothing."""
        taken, self.data = SessionCounts(self.data), {}
        return None if taken.is_empty() else taken

    def aggregate(self, other: KVConnectorStats) -> "SessionCounts":
        """Both together."""
        self.data = dict(Tally(self.data) + Tally(other.data))
        return self

    def reduce(self) -> dict[str, int | float]:
        """For vLLM's log line."""
        return {f"sessions {name.replace('_', ' ')}": number for name, number in sorted(self.data.items())}

    def is_empty(self) -> bool:
        """Nothing was counted."""
        return not self.data

    def reset(self) -> None:
        """Start anew."""
        self.data = {}


class SessionMetrics(KVConnectorPromMetrics):
    """One Prometheus counter for each line of MEANINGS."""

    def __init__(
        self, vllm_config: Any, metric_types: Any, labelnames: list[str], engines: dict[int, list[object]]
    ) -> None:
        super().__init__(vllm_config, metric_types, labelnames, engines)
        self._counters = {name: self._counter(name, meaning) for name, meaning in MEANINGS.items()}

    def _counter(self, name: str, meaning: str) -> dict[int, Counter]:
        made = self._counter_cls(name=_PREFIX + name, documentation=meaning, labelnames=self._labelnames)
        by_engine: dict[int, Counter] = create_metric_per_engine(made, self.per_engine_labelvalues)
        return by_engine

    def observe(self, transfer_stats_data: dict[str, Any], engine_idx: int = 0) -> None:
        """Add what one step counted."""
        for name, number in transfer_stats_data.items():
            self._counters[name][engine_idx].inc(number)
