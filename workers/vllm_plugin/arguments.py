"""What vLLM's engine is told so that it runs under a policy, by the kind of device. Plain values: imports vLLM only to
ask which device there is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workers.kv.choice import Choice, kind
from workers.kv.errors import PolicyRefused

CONFIG = "mneme_kv"
"""Where {"policy": name, "knobs": {...}} stands in vLLM's --additional-config."""

TRAINED = "mneme_trained"
"""… and the length in tokens that the model was trained on."""

_REQUESTS = "workers.vllm_plugin.requests:KvArguments"
_SCHEDULERS = {
    False: "workers.vllm_plugin.scheduler.PolicyScheduler",
    True: "workers.vllm_plugin.scheduler.AsyncPolicyScheduler",
}
"""By whether the next step is scheduled while one runs."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What carries policies on a kind of device. `block`: tokens per block unless the user says otherwise; `ahead`:
    whether vLLM can schedule the next step while one runs; `environment`: what it must find there."""

    worker: str
    block: int
    ahead: bool
    environment: Mapping[str, str] = field(default_factory=dict)


MACHINES = {
    "cpu": Machine(
        worker="workers.vllm_plugin.cpu_worker.PolicyCpuWorker",
        block=32,
        ahead=False,
    ),
    "cuda": Machine(
        worker="workers.vllm_plugin.gpu_worker.PolicyGpuWorker",
        block=16,
        ahead=True,
        environment={"VLLM_USE_V2_MODEL_RUNNER": "0"},
    ),
}
"""By the device type of vLLM's platform. Another device is one entry here and the classes that it names."""


def machine(device: str | None = None) -> Machine:
    """That of this type of device, of the one that vLLM found if none is named; PolicyRefused for an unknown one."""
    if device is None:
        from vllm.platforms import current_platform

        device = "rocm" if current_platform.is_rocm() else str(current_platform.device_type)
    if device not in MACHINES:
        raise PolicyRefused(f"There are no KV policies for vLLM on {device!r}; there are for {' and '.join(MACHINES)}.")
    return MACHINES[device]


def engine_arguments(
    choice: Choice, trained: int = 0, *, device: str | None = None, ahead: bool = True
) -> dict[str, Any]:
    """Keyword arguments of vLLM's EngineArgs. `trained`: the context in tokens that the model was trained on, 0 if
    nobody asks for more; `ahead`: schedule ahead where the device can."""
    on = machine(device)
    told: dict[str, Any] = {
        "worker_cls": on.worker,
        "scheduler_cls": _SCHEDULERS[on.ahead and ahead],
        "logits_processors": [_REQUESTS],
        "additional_config": {CONFIG: {"policy": choice.name, "knobs": choice.knobs.given()}, TRAINED: trained},
    }
    if on.ahead:
        told["async_scheduling"] = ahead
    if not kind(choice.name).SHAREABLE:
        told["enable_prefix_caching"] = False
    return told
