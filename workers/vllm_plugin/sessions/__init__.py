"""A session's KV in a file of its own, taken up by another worker or after a restart: a KV connector for vLLM. What
is in the file is the KV policy's decision."""

from pathlib import Path
from typing import Any

_CONNECTOR = "SessionConnector"
DEFAULT_BOUND = 16 << 30
"""Bytes of session files in a directory, unless told otherwise."""


def session_arguments(directory: Path, bound: int = DEFAULT_BOUND) -> dict[str, Any]:
    """What vLLM's engine must be told so that it keeps sessions in `directory`, at most `bound` bytes of them: keyword
    arguments of its EngineArgs, and as JSON the value of --kv-transfer-config."""
    return {
        "kv_transfer_config": {
            "kv_connector": _CONNECTOR,
            "kv_connector_module_path": "workers.vllm_plugin.sessions.connector",
            "kv_role": "kv_both",
            "kv_load_failure_policy": "recompute",
            "kv_connector_extra_config": {"directory": str(directory), "bound": bound},
        }
    }


def directory_of(vllm_config: Any) -> Path | None:
    """Where an engine with this configuration keeps sessions; None if it keeps none."""
    told = vllm_config.kv_transfer_config
    if told is None or told.kv_connector != _CONNECTOR:
        return None
    return Path(told.kv_connector_extra_config["directory"])
