"""What KV policies do not go together with, by a configuration like vLLM's."""

from types import SimpleNamespace
from typing import Any

import pytest

from workers.kv.errors import PolicyRefused
from workers.vllm_plugin.limits import check, check_frontend


def configured(**changed: Any) -> Any:
    """A configuration that passes, with "part.attribute" changed."""
    config = SimpleNamespace(
        model_config=SimpleNamespace(
            runner_type="generate",
            is_encoder_decoder=False,
            use_mla=False,
            is_hybrid=False,
            is_attention_free=False,
            is_mm_prefix_lm=False,
            get_sliding_window=lambda: None,
        ),
        parallel_config=SimpleNamespace(
            tensor_parallel_size=1,
            pipeline_parallel_size=1,
            decode_context_parallel_size=1,
            prefill_context_parallel_size=1,
            use_ubatching=False,
        ),
        scheduler_config=SimpleNamespace(disable_hybrid_kv_cache_manager=False),
        speculative_config=None,
        kv_transfer_config=None,
    )
    for name, value in changed.items():
        part, _, attribute = name.partition("__")
        setattr(getattr(config, f"{part}_config"), attribute, value) if attribute else setattr(config, name, value)
    return config


def connector(name: str, module: str | None) -> Any:
    """A KV connector as vLLM's configuration names it."""
    return SimpleNamespace(kv_connector=name, kv_connector_module_path=module)


def frontend(**changed: Any) -> Any:
    """Arguments of one API server with one engine."""
    one = {"api_server_count": None, "data_parallel_size": 1, "headless": False, "grpc": False}
    return SimpleNamespace(**{**one, **changed})


def test_a_plain_engine_passes() -> None:
    """Nothing is in the way."""
    check(configured(), by_head=True)
    check_frontend(frontend(api_server_count=1))


def test_tensor_parallelism_passes() -> None:
    """Every worker holds some heads of every layer, under the same tables."""
    check(configured(parallel__tensor_parallel_size=2))


def test_connectors_of_ours_pass() -> None:
    """They know what a policy retains."""
    check(configured(kv_transfer_config=connector("SessionConnector", "workers.vllm_plugin.sessions.connector")))


@pytest.mark.parametrize(
    ("changed", "reason", "instead"),
    [
        ({"model__runner_type": "pooling"}, "generate no text", "without --kv"),
        ({"model__is_encoder_decoder": True}, "encoder-decoder", "without --kv"),
        ({"model__use_mla": True}, "MLA", "without --kv"),
        ({"model__is_hybrid": True}, "recurrent", "without --kv"),
        ({"model__is_attention_free": True}, "recurrent", "without --kv"),
        ({"model__get_sliding_window": lambda: 4096}, "sliding windows", "without --kv"),
        ({"model__is_mm_prefix_lm": True}, "both directions", "without --kv"),
        ({"speculative_config": object()}, "speculative", "leave --speculative-config out"),
        ({"parallel__pipeline_parallel_size": 2}, "--pipeline-parallel-size", "--tensor-parallel-size"),
        ({"parallel__decode_context_parallel_size": 2}, "context parallelism", "--tensor-parallel-size"),
        ({"parallel__prefill_context_parallel_size": 2}, "context parallelism", "--tensor-parallel-size"),
        ({"parallel__use_ubatching": True}, "micro-batches", "leave them out"),
        ({"kv_transfer_config": connector("NixlConnector", None)}, "NixlConnector", "leave --kv-transfer-config"),
        ({"scheduler__disable_hybrid_kv_cache_manager": True}, "--disable-hybrid-kv-cache-manager", "leave it out"),
    ],
)
def test_what_does_not_go_together_is_refused(changed: dict[str, Any], reason: str, instead: str) -> None:
    """With what it is, and what to do instead."""
    with pytest.raises(PolicyRefused, match=reason) as refused:
        check(configured(**changed))

    assert instead in str(refused.value)


def test_lists_of_heads_want_one_worker() -> None:
    """Each worker of several numbers its own heads from 0."""
    with pytest.raises(PolicyRefused, match="--tensor-parallel-size 1 would work"):
        check(configured(parallel__tensor_parallel_size=2), by_head=True)


@pytest.mark.parametrize(
    "changed", [{"api_server_count": 2}, {"data_parallel_size": 2}, {"headless": True}, {"grpc": True}]
)
def test_a_front_end_that_cannot_ask_all_is_refused(changed: dict[str, Any]) -> None:
    """The proof needs one API server over HTTP and one engine."""
    with pytest.raises(PolicyRefused):
        check_frontend(frontend(**changed))
