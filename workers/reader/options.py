"""What chat and text completions have in common in a body, read and checked. Knows vLLM's rules, not the answer.

Sampling parameters mean nothing without a model, so they are accepted and not looked at.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from workers.reader.errors import Refusal, malformed, too_long, unknown_model

MODEL = "mneme-reader"

_MOST_CHOICES = 128


@dataclass(frozen=True, slots=True)
class Options:
    """`max_tokens` is None if the body names none. `usage_last`, `usage_always`: a streamed answer ends with a usage
    chunk, every chunk carries usage."""

    stream: bool
    usage_last: bool
    usage_always: bool
    n: int
    stop: tuple[str, ...]
    keep_stop: bool
    max_tokens: int | None


def parse(body: bytes) -> dict[str, Any]:
    """The body as an object; Refusal if it is none."""
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError as unreadable:
        raise malformed(f"The body is not JSON: {unreadable.msg}.") from None
    if not isinstance(fields, dict):
        raise malformed("The body must be a JSON object.")
    return fields


def read(fields: Mapping[str, Any]) -> Options:
    """The options of a body; Refusal for a wrong type, a wrong value or a model that is not served."""
    model = typed(fields, "model", str, MODEL)
    if model != MODEL:
        raise unknown_model(model)
    stream = typed(fields, "stream", bool, False)
    extras = typed(fields, "stream_options", dict, {})
    if extras and not stream:
        raise Refusal("Stream options can only be given when `stream` is true.", param="stream_options")
    n = typed(fields, "n", int, 1)
    if not 1 <= n <= _MOST_CHOICES:
        raise Refusal(f"n must be at least 1 and at most {_MOST_CHOICES}, got {n}.", param="n")
    return Options(
        stream=stream,
        usage_last=typed(extras, "include_usage", bool, False),
        usage_always=typed(extras, "continuous_usage_stats", bool, False),
        n=n,
        stop=_stop(fields.get("stop")),
        keep_stop=typed(fields, "include_stop_str_in_output", bool, False),
        max_tokens=_max_tokens(fields),
    )


def room(window: int, prompt_tokens: int, max_tokens: int | None) -> int:
    """How many tokens the answer may have; Refusal if prompt and answer do not fit into `window` tokens."""
    if prompt_tokens + (max_tokens or 1) > window:
        raise too_long(window, max_tokens or 0, prompt_tokens)
    return max_tokens or window - prompt_tokens


def typed(fields: Mapping[str, Any], name: str, kind: type, otherwise: Any) -> Any:
    """A member of that type; `otherwise` if it is missing or null."""
    value = fields.get(name)
    if value is None:
        return otherwise
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise malformed(f"`{name}` must be of type {kind.__name__}.", name)
    return value


def _max_tokens(fields: Mapping[str, Any]) -> int | None:
    older = typed(fields, "max_tokens", int, None)
    wanted: int | None = typed(fields, "max_completion_tokens", int, older)
    if wanted is not None and wanted < 1:
        raise Refusal(f"max_tokens must be at least 1, got {wanted}.", param="max_tokens")
    return wanted


def _stop(value: Any) -> tuple[str, ...]:
    words = [value] if isinstance(value, str) else value or []
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise malformed("`stop` must be a string or a list of strings.", "stop")
    if "" in words:
        raise Refusal("stop cannot contain an empty string.", param="stop")
    return tuple(words)
