"""What of an answer's `usage` is kept."""

from typing import Any

import pytest

from gateway.learn import used
from gateway.memory.records import Usage


def usage(prompt: Any, cached: Any, completion: Any = 7) -> dict[str, Any]:
    """As vLLM tells it."""
    details = {"cached_tokens": cached}
    return {"prompt_tokens": prompt, "completion_tokens": completion, "prompt_tokens_details": details}


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        (usage(40, 32), Usage(40, 32, 7)),
        (usage(40, 0), Usage(40, 0, 7)),
        ({"prompt_tokens": 40, "completion_tokens": 7, "prompt_tokens_details": None}, Usage(40, None, 7)),
        ({"total_tokens": 47}, Usage()),
        ({}, Usage()),
    ],
)
def test_what_is_told_is_kept(told: dict[str, Any], kept: Usage) -> None:
    """And what is not told is not made up."""
    assert used(told) == kept


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        (usage(40, 41), Usage(40, None, 7)),
        (usage(None, 1), Usage(None, None, 7)),
        (usage("40", 1, True), Usage()),
        (usage(-1, -1, -1), Usage()),
        (usage(4.0, 1, 1 << 60), Usage()),
        ({"prompt_tokens_details": []}, Usage()),
    ],
)
def test_what_cannot_be_is_not_believed(told: dict[str, Any], kept: Usage) -> None:
    """More cached than there was, no whole number, less than nothing, more than JSON can tell."""
    assert used(told) == kept
