"""What vLLM's engine is told, by policy and device."""

import pytest

from workers.kv.choice import chosen
from workers.kv.errors import PolicyRefused
from workers.vllm_plugin.arguments import MACHINES, engine_arguments, machine

WINDOW = chosen("sink_window", {"sink": 32, "window": 64})


def test_the_choice_travels_in_the_configuration() -> None:
    """By name and knobs, with the trained context: all that every process needs to build the same policy."""
    told = engine_arguments(WINDOW, 8192, device="cpu")["additional_config"]

    assert chosen(told["mneme_kv"]["policy"], told["mneme_kv"]["knobs"]) == WINDOW
    assert told["mneme_trained"] == 8192


@pytest.mark.parametrize(
    ("policy", "shared"), [("full", True), ("sink_window", True), ("surprisal", False), ("block_recall", False)]
)
def test_the_prefix_cache_is_off_where_it_would_be_wrong(policy: str, shared: bool) -> None:
    """Otherwise it is vLLM's own to decide."""
    told = engine_arguments(chosen(policy, {}), device="cpu")

    assert told.get("enable_prefix_caching", True) is shared


@pytest.mark.parametrize(
    ("device", "ahead", "scheduler"),
    [
        ("cpu", True, "PolicyScheduler"),
        ("cuda", True, "AsyncPolicyScheduler"),
        ("cuda", False, "PolicyScheduler"),
    ],
)
def test_the_scheduler_is_the_one_that_the_engine_runs(device: str, ahead: bool, scheduler: str) -> None:
    """One that schedules ahead only where vLLM does; vLLM is told so as well."""
    told = engine_arguments(WINDOW, device=device, ahead=ahead)

    assert told["scheduler_cls"].rpartition(".")[2] == scheduler
    assert told.get("async_scheduling", False) is (scheduler == "AsyncPolicyScheduler")


def test_a_gpu_runs_the_runner_that_the_plug_in_knows() -> None:
    """vLLM's second runner keeps its tables elsewhere."""
    assert machine("cuda").environment == {"VLLM_USE_V2_MODEL_RUNNER": "0"}


def test_an_unknown_device_is_refused() -> None:
    """With those that are known."""
    with pytest.raises(PolicyRefused, match="cpu and cuda"):
        machine("tpu")


@pytest.mark.parametrize("device", MACHINES)
def test_windows_by_default_are_whole_blocks(device: str) -> None:
    """So that a policy's own defaults work with a device's own block."""
    for policy in ("sink_window", "surprisal", "block_recall"):
        window = chosen(policy, {}).knobs.window

        assert window is not None
        assert window % machine(device).block == 0
