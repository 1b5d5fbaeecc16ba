"""How requests under different choices are kept apart in the prefix cache. Through the engine: test_serve.py."""

from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest

from workers.kv.choice import chosen

OWN = chosen("sink_window", {"sink": 32, "window": 64})
OTHER = chosen("sink_window", {"sink": 32, "window": 96})
FULL = chosen("full", {})


def test_the_engines_own_choice_leaves_the_salt() -> None:
    """So that clients who ask for nothing share blocks as they would without us."""
    from workers.vllm_plugin.salt import salted

    assert salted(None, OWN, OWN) is None
    assert salted("tenant", OWN, OWN) == "tenant"


def test_salts_meet_only_if_everything_is_the_same() -> None:
    """Whatever a client takes for its own salt, what the others' look like included."""
    from workers.vllm_plugin.salt import salted

    honest = [None, "tenant", "tenant|", OTHER.key]
    forged = [told for salt, choice in product(honest, (OTHER, FULL)) if (told := salted(salt, choice, OWN))]
    twice = [told for salt in forged if (told := salted(salt, OTHER, OWN))]
    asked = list(product([*honest, *forged, *twice], (OWN, OTHER, FULL)))

    assert len({salted(salt, choice, OWN) for salt, choice in asked}) == len(asked)


@pytest.mark.parametrize(
    ("name", "given"),
    [("frob", {}), ("sink_window", {"kv_frob": 1}), ("sink_window", {"kv_window": "wide"}), ("duo", {})],
)
def test_a_request_that_came_past_the_door_is_refused_alone(name: str, given: dict[str, Any]) -> None:
    """Before the scheduler sees it, which could only end the engine."""
    from vllm.exceptions import VLLMValidationError
    from vllm.v1.request import Request

    from workers.vllm_plugin.ledger import LEDGER
    from workers.vllm_plugin.salt import install

    install()
    params = SimpleNamespace(extra_args={"kv_policy": name, **given})
    before, LEDGER.choice = LEDGER.choice, OWN
    try:
        with pytest.raises(VLLMValidationError):
            Request.from_engine_core_request(SimpleNamespace(sampling_params=params, cache_salt=None), None)
    finally:
        LEDGER.choice = before
