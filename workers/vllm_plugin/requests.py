"""What a request may ask of its worker's KV policy, in `vllm_xargs`: kv_policy and kv_<knob>. Refuses in the API
process, before the engine sees it; what the engine then reads is the same choice. Holds no state of requests."""

from typing import Any

from vllm.exceptions import VLLMValidationError
from vllm.v1.sample.logits_processor import LogitsProcessor

from workers.kv.choice import Choice, Engine, chosen, kind
from workers.kv.errors import PolicyRefused

_PREFIX = "kv_"
_VLLMS = frozenset(("kv_transfer_params", "kv_cache_report_mode"))
"""Extra arguments of vLLM's own that begin alike."""


def choice_of(params: Any, own: Choice | None) -> Choice:
    """The request's choice: the engine's own, with what its `vllm_xargs` change. PolicyRefused for what cannot be."""
    told = asked(params)
    if own is None:
        raise PolicyRefused("This worker runs without a KV policy; kv_* arguments need one started with --kv.")
    if not told:
        return own
    name = str(told.pop("kv_policy", own.name))
    if name != own.name and not (kind(name).PER_REQUEST and kind(own.name).PER_REQUEST):
        raise PolicyRefused(f"This worker runs {own.name}; {name} cannot be chosen per request here.")
    if told and not kind(name).PER_REQUEST:
        raise PolicyRefused(f"The knobs of {name} are the engine's; they cannot be chosen per request.")
    given = {key.removeprefix(_PREFIX): value for key, value in told.items()}
    shared = own.knobs.given() if name == own.name else _carried(own, name)
    return chosen(name, {**shared, **given})


def asked(params: Any) -> dict[str, Any]:
    """The kv_* arguments of a request."""
    told = (params.extra_args or {}).items()
    return {key: value for key, value in told if key.startswith(_PREFIX) and key not in _VLLMS}


def _carried(own: Choice, name: str) -> dict[str, object]:
    """Knobs that two policies share mean the same in both: who only changes the policy keeps the engine's."""
    takes = kind(name).KNOBS
    return {knob: value for knob, value in own.knobs.given().items() if knob in takes}


class Door:
    """What the API process knows of its engine; set once it is up, before the first request."""

    own: Choice | None = None
    engine: Engine | None = None

    @classmethod
    def open(cls, own: Choice | None, vllm_config: Any) -> None:
        """From the engine's own configuration, its pool included once vLLM knows it."""
        cls.own = own
        cls.engine = engine_of(vllm_config)

    @classmethod
    def check(cls, params: Any) -> None:
        """PolicyRefused for a request that this engine cannot hold."""
        if not asked(params):
            return
        choice = choice_of(params, cls.own)
        if cls.engine is not None:
            choice.check(cls.engine)

    @classmethod
    def offered(cls) -> list[str]:
        """The policies that a request may name here, with this engine's pool."""
        own, engine = cls.own, cls.engine
        if own is None or engine is None or not kind(own.name).PER_REQUEST:
            return []
        return [name for name in ("full", "sink_window", "surprisal", "modality_window") if _holds(own, name, engine)]


def _holds(own: Choice, name: str, engine: Engine) -> bool:
    try:
        chosen(name, own.knobs.given() if name == own.name else _carried(own, name)).check(engine)
    except PolicyRefused:
        return False
    return True


def engine_of(vllm_config: Any, trained: int = 0) -> Engine:
    """What vLLM's configuration says of block, context, chunk and pool."""
    model, cache = vllm_config.model_config, vllm_config.cache_config
    told = vllm_config.additional_config
    known = told.get("mneme_trained", 0) if isinstance(told, dict) else 0
    return Engine(
        block=cache.block_size,
        longest=model.max_model_len,
        chunk=vllm_config.scheduler_config.max_num_batched_tokens,
        trained=trained or known,
        pool=cache.num_gpu_blocks or 0,
    )


class KvArguments(LogitsProcessor):
    """vLLM's only hook that sees a request's extra arguments in the API process. It touches no logits."""

    def __init__(self, vllm_config: Any, device: Any, is_pin_memory: bool) -> None:
        """Nothing to keep."""

    @classmethod
    def validate_params(cls, sampling_params: Any) -> None:
        """VLLMValidationError, which becomes a 400, for what the policy cannot do."""
        try:
            Door.check(sampling_params)
        except PolicyRefused as refused:
            raise VLLMValidationError(str(refused)) from None

    def is_argmax_invariant(self) -> bool:
        """Logits stay as they are."""
        return True

    def update_state(self, batch_update: Any) -> None:
        """Nothing to keep."""

    def apply(self, logits: Any) -> Any:
        """As they came."""
        return logits


__all__ = ["Door", "KvArguments", "choice_of", "engine_of"]
