"""Which of vLLM's features KV policies go together with, told from vLLM's own configuration before anything is started.
Reads attributes only; knows no policy."""

from collections.abc import Iterator
from typing import Any

from workers.kv.errors import PolicyRefused

_CONNECTORS = "workers.vllm_plugin."
"""Connectors from here save and restore what a policy retains; any other one would take blocks for a whole prefix."""

_STOCK = "serve this model with vLLM itself, without --kv"


def check_frontend(args: Any) -> None:
    """PolicyRefused for ways to serve whose processes cannot be asked for their policy."""
    several = (args.api_server_count or 1) > 1 or args.data_parallel_size > 1
    ways = (
        (
            several,
            "several engines or API servers behind one port",
            "start one worker for each, and a router before them",
        ),
        (args.headless, "--headless", "start one worker for each machine"),
        (args.grpc, "--grpc", "leave it out: policies are asked for over HTTP"),
    )
    _refuse_first((what, instead) for found, what, instead in ways if found)


def check(vllm_config: Any, by_head: bool = False) -> None:
    """PolicyRefused, with the nearest setting that works, for what the engine is configured to do beside. `by_head`:
    the policy tells KV heads apart."""
    _refuse_first(_model(vllm_config.model_config))
    _refuse_first(_engine(vllm_config))
    if by_head and vllm_config.parallel_config.tensor_parallel_size > 1:
        raise PolicyRefused("A list of heads counts them in the whole model: --tensor-parallel-size 1 would work.")


def _model(model: Any) -> Iterator[tuple[str, str]]:
    kinds = (
        (model.runner_type != "generate", "models that generate no text"),
        (model.is_encoder_decoder, "encoder-decoder models"),
        (model.use_mla, "latent attention (MLA)"),
        (model.is_hybrid or model.is_attention_free, "models with recurrent layers"),
        (model.get_sliding_window(), "models with sliding windows of their own"),
        (model.is_mm_prefix_lm, "models that read images in both directions"),
    )
    yield from ((what, _STOCK) for found, what in kinds if found)


def _engine(config: Any) -> Iterator[tuple[str, str]]:
    parallel, transfer = config.parallel_config, config.kv_transfer_config
    several = "--tensor-parallel-size spreads a model too"
    if config.speculative_config is not None:
        yield "speculative decoding", "leave --speculative-config out"
    if parallel.pipeline_parallel_size > 1:
        yield "--pipeline-parallel-size", several
    if parallel.decode_context_parallel_size > 1 or parallel.prefill_context_parallel_size > 1:
        yield "context parallelism", several
    if parallel.use_ubatching:
        yield "micro-batches (--enable-dbo, --ubatch-size)", "leave them out"
    if transfer is not None and not (transfer.kv_connector_module_path or "").startswith(_CONNECTORS):
        yield f"the KV connector {transfer.kv_connector}", "leave --kv-transfer-config and --kv-offloading-size out"
    if config.scheduler_config.disable_hybrid_kv_cache_manager:
        yield "--disable-hybrid-kv-cache-manager", "leave it out: without it no layer gives blocks back"


def _refuse_first(found: Iterator[tuple[str, str]]) -> None:
    for what, instead in found:
        raise PolicyRefused(f"KV policies do not go together with {what}: {instead}.")
