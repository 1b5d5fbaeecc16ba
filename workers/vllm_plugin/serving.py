"""vLLM's own server, told to run under a policy: its arguments completed, what cannot work refused before a process is
started, and what fails later told in one line. Proves nothing itself; see endpoint.py."""

import json
import os
from argparse import Namespace
from copy import copy
from dataclasses import replace
from importlib.metadata import entry_points
from typing import Any

import uvloop
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.entrypoints.launchers.api_server.entry import run_server
from vllm.logger import configure_logging_from_args
from vllm.plugins import load_endpoint_plugins
from vllm.usage.usage_lib import UsageContext
from vllm.utils.argparse_utils import FlexibleArgumentParser

from workers import models
from workers.kv.choice import Choice, Engine, held, kind
from workers.kv.errors import PolicyRefused
from workers.options import Asked
from workers.vllm_plugin import NAME, limits, reasons, versions
from workers.vllm_plugin.arguments import Machine, engine_arguments, machine
from workers.vllm_plugin.endpoint import KvEndpoint
from workers.vllm_plugin.requests import engine_of
from workers.vllm_plugin.sessions import session_arguments

_NO_ROOM = "To serve at least one request"
_ALWAYS_LOADED = ("general", "platform", "io_processor", "stat_logger")


def serve(asked: Asked) -> None:
    """Serve until a signal. PolicyRefused if the policy cannot be run, or is not active in every process."""
    args, engine = ready(asked)
    _run(args, engine, asked.choice)


def ready(asked: Asked) -> tuple[Namespace, Engine]:
    """vLLM's arguments, complete, and what is known of the engine that they make. PolicyRefused if it cannot work."""
    on = machine()
    os.environ.update(on.environment)
    _allow_plugin()
    args = _parsed(asked, on)
    try:
        _told(args, asked)
        return args, _checked(asked.choice, args)
    except PolicyRefused:
        raise
    except (ValueError, OSError) as refused:  # vLLM's own refusals: an argument, a model that is not there
        raise PolicyRefused(f"vLLM refuses: {' '.join(str(refused).split())}") from None


def _run(args: Namespace, engine: Engine, choice: Choice) -> None:
    with reasons.noted() as notes:
        try:
            uvloop.run(run_server(args))
        except OSError as failed:  # such as a port that is taken
            raise PolicyRefused(f"vLLM cannot serve: {failed}") from None
        except RuntimeError:
            reason = reasons.first(notes)
            if reason is None:
                raise
            hint = _room(choice, engine) if _NO_ROOM in reason else ""
            raise PolicyRefused(f"vLLM did not start. {reason}{hint}") from None


def _room(choice: Choice, engine: Engine) -> str:
    """What vLLM's own advice leaves out."""
    needed = held(choice.policy(engine.block), engine.block, engine.chunk, engine.longest, engine.trained)
    return (
        f" Under {choice.name} a request holds up to {needed} blocks of {engine.block} tokens: where the policy has a "
        "window, a smaller one or a smaller --max-num-batched-tokens needs fewer."
    )


def _allow_plugin() -> None:
    """vLLM loads endpoint plug-ins only if they are named, and then of the others only those that are named too."""
    named = os.environ.get("VLLM_PLUGINS")
    if named is None:
        others = [each.name for group in _ALWAYS_LOADED for each in entry_points(group=f"vllm.{group}_plugins")]
    else:
        others = named.split(",")
    os.environ["VLLM_PLUGINS"] = ",".join(dict.fromkeys([*filter(None, others), NAME]))
    if not any(isinstance(plugin, KvEndpoint) for plugin in load_endpoint_plugins(KvEndpoint.required_tasks)):
        raise PolicyRefused(
            "vLLM does not find the plug-in: install this package beside it, pip install 'mneme[vllm]'."
        )


def _parsed(asked: Asked, on: Machine) -> Namespace:
    """vLLM's arguments. A command line that it does not understand ends the process, as it does in vLLM."""
    versions.part("cli_env_setup")()
    parser = versions.part("make_arg_parser")(FlexibleArgumentParser(prog="python -m workers serve"))
    parser.set_defaults(block_size=on.block, enable_prompt_tokens_details=True)
    args: Namespace = parser.parse_args(["--model", asked.model, *_sessions(asked), *asked.others])
    configure_logging_from_args(args)
    versions.part("validate_parsed_serve_args")(args)
    if args.model_tag is not None:
        raise PolicyRefused(f"{args.model_tag!r} belongs to no option; the model is named by --model.")
    limits.check_frontend(args)
    return args


def _sessions(asked: Asked) -> list[str]:
    if asked.sessions is None:
        return []
    return ["--kv-transfer-config", json.dumps(session_arguments(asked.sessions)["kv_transfer_config"])]


def _told(args: Namespace, asked: Asked) -> None:
    """Complete vLLM's arguments by what the policy needs; PolicyRefused where the user wants otherwise."""
    told = engine_arguments(asked.choice, _trained(args, asked), ahead=args.async_scheduling is not False)
    if args.worker_cls != AsyncEngineArgs.worker_cls or args.scheduler_cls is not None:
        raise PolicyRefused("--worker-cls and --scheduler-cls carry the policy: leave them out.")
    if args.enable_prefix_caching and not kind(asked.choice.name).SHAREABLE:
        raise PolicyRefused(
            f"Under {asked.choice.name} what a block holds depends on more than its prefix: leave "
            "--enable-prefix-caching out."
        )
    told["logits_processors"] = [*(args.logits_processors or []), *told["logits_processors"]]
    told["additional_config"] = {**(args.additional_config or {}), **told["additional_config"]}
    for name, value in told.items():
        setattr(args, name, value)


def _trained(args: Namespace, asked: Asked) -> int:
    """The context that the model was trained on, in tokens. If more is asked for, vLLM is told to make its table of
    rotary positions so long; which of them are used is the policy's part."""
    shorter = copy(args)
    shorter.max_model_len = None
    model = AsyncEngineArgs.from_cli_args(shorter).create_model_config()
    models.check(asked.model, model.hf_config.to_dict())
    known, longest = model.max_model_len, args.max_model_len or 0
    trained = asked.trained or known
    if longest > known:
        models.check_beyond(asked.model, _rope(model.hf_text_config), known, longest)
        args.hf_overrides = _longer(args.hf_overrides, model, longest)
        os.environ["VLLM_ALLOW_LONG_MAX_MODEL_LEN"] = "1"  # a tokenizer may name a limit of its own
    return trained


def _rope(config: Any) -> str:
    return str((getattr(config, "rope_parameters", None) or {}).get("rope_type", ""))


def _longer(overrides: Any, model: Any, longest: int) -> dict[str, Any]:
    if not isinstance(overrides, dict):
        raise PolicyRefused("--hf-overrides must be JSON where streams are longer than the model's training.")
    told = {"max_position_embeddings": longest}
    if model.hf_text_config is model.hf_config:
        return {**overrides, **told}
    return {**overrides, "text_config": {**overrides.get("text_config", {}), **told}}


def _checked(choice: Choice, args: Namespace) -> Engine:
    """What can be known of the engine before a process is started; the pool only if it was given in blocks."""
    config = AsyncEngineArgs.from_cli_args(args).create_engine_config(UsageContext.OPENAI_API_SERVER)
    limits.check(config, by_head=choice.knobs.heads is not None)
    model = config.model_config
    models.check_heads(choice.knobs.heads or {}, model.get_total_num_hidden_layers(), model.get_total_num_kv_heads())
    engine = replace(engine_of(config), pool=config.cache_config.num_gpu_blocks_override or 0)
    choice.check(engine)
    return engine
