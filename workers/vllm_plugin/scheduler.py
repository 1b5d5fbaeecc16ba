"""vLLM's scheduler with a ledger: reads each request's policy when it comes, sends the plans with every step, and takes
back what surprised. Chooses neither requests nor blocks."""

from copy import copy
from functools import wraps
from typing import Any

from vllm.v1.core.sched.async_scheduler import AsyncScheduler
from vllm.v1.core.sched.scheduler import Scheduler

from workers.kv.errors import PolicyRefused
from workers.vllm_plugin.ledger import LEDGER
from workers.vllm_plugin.manager import PolicyManager
from workers.vllm_plugin.requests import choice_of
from workers.vllm_plugin.spec import configured


class _Policed(Scheduler):
    def __init__(self, *known: Any, **others: Any) -> None:
        super().__init__(*known, **others)
        choice = configured(self.vllm_config)
        managers = self.kv_cache_manager.coordinator.single_type_managers
        if choice is None or not any(isinstance(manager, PolicyManager) for manager in managers):
            raise PolicyRefused("The scheduler of KV policies was started without a policy, or without its managers.")
        longest = self.vllm_config.model_config.max_model_len
        LEDGER.open(choice, managers[0].block_size, self.vllm_config.max_in_flight_tokens, longest)
        self._asked_for_scores: dict[str, tuple[bool, bool]] = {}
        self.kv_cache_manager.get_computed_blocks = _naming_who_asks(self.kv_cache_manager.get_computed_blocks)

    def add_request(self, request: Any) -> None:
        """A new request, or the next input of a streaming session."""
        if request.sampling_params is not None:
            choice = choice_of(request.sampling_params, LEDGER.choice)
            if request.request_id not in self.requests:
                LEDGER.admit(request.request_id, choice, own=choice == LEDGER.choice)
            if choice.name == "surprisal":
                self._ask_for_scores(request)
        super().add_request(request)

    def _ask_for_scores(self, request: Any) -> None:
        params = copy(request.sampling_params)
        self._asked_for_scores[request.request_id] = (params.logprobs is None, params.prompt_logprobs is None)
        params.logprobs = params.logprobs or 0
        params.prompt_logprobs = params.prompt_logprobs or 0
        request.sampling_params = params

    def schedule(self, *known: Any, **others: Any) -> Any:
        """vLLM's own choice, with our plans attached."""
        for request in (*self.running, *self.waiting):
            if request.request_id in LEDGER.entries:
                LEDGER.read(request.request_id, request.all_token_ids, request.num_prompt_tokens)
        output = super().schedule(*known, **others)
        for request_id in output.finished_req_ids:
            if request_id not in self.requests:
                LEDGER.forget(request_id)
                self._asked_for_scores.pop(request_id, None)
        output.mneme = LEDGER.step(output.num_scheduled_tokens)
        return output

    def update_from_output(self, scheduler_output: Any, model_runner_output: Any) -> Any:
        """vLLM's own, without the scores that no client asked for: its front end would stumble over them."""
        for request_id, scores in getattr(model_runner_output, "mneme_surprise", {}).items():
            LEDGER.learn(request_id, scores)
        outputs = super().update_from_output(scheduler_output, model_runner_output)
        for batch in outputs.values():
            for output in batch.outputs:
                sampled, prompt = self._asked_for_scores.get(output.request_id, (False, False))
                if sampled:
                    output.new_logprobs = None
                if prompt:
                    output.new_prompt_logprobs_tensors = None
        return outputs


class PolicyScheduler(_Policed):
    """For engines that schedule one step at a time: the CPU."""


class AsyncPolicyScheduler(_Policed, AsyncScheduler):
    """For engines that schedule the next step while this one runs: GPUs."""


def _naming_who_asks(stock: Any) -> Any:
    @wraps(stock)
    def get_computed_blocks(request: Any, *known: Any, **others: Any) -> Any:
        LEDGER.asking = LEDGER.entries.get(request.request_id)
        try:
            return stock(request, *known, **others)
        finally:
            LEDGER.asking = None

    return get_computed_blocks
