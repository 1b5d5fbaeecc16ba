"""What a vLLM worker under sinks and a window tells at /kv/requests. Imports nothing, so that the tests of the plug-in,
which have an environment of their own, hold it to what the real page tells."""

from typing import Any

HELD: dict[str, Any] = {
    "object": "kv.requests",
    "block": 32,
    "pool": 64,
    "requests": [
        {"id": "chatcmpl-1", "policy": "sink_window", "tokens": 190, "live": [[0, 1], [4, 6]]},
        {"id": "chatcmpl-2", "policy": "full", "tokens": 33, "live": [[0, 2]]},
    ],
}
