"""What a worker process adds to vLLM's: it refuses to run without the policy, hands each step's plans to the attention
backends, and sends back how surprising every computed token was. Decides nothing about blocks."""

import os
from dataclasses import dataclass
from typing import Any

import torch
from vllm.model_executor.models.utils import extract_layer_index
from vllm.v1.outputs import AsyncModelRunnerOutput

from workers.kv.errors import PolicyRefused
from workers.kv.policies.base import Policy
from workers.vllm_plugin.backends import CompactingBuilder
from workers.vllm_plugin.board import BOARD
from workers.vllm_plugin.shelves import SHELVES, Rope
from workers.vllm_plugin.spec import PolicySpec, configured


class Policed:
    """Stands before one of vLLM's worker classes."""

    vllm_config: Any
    model_runner: Any
    rank: int

    def initialize_from_config(self, kv_cache_config: Any) -> None:
        """Once vLLM has laid out the cache: PolicyRefused unless the policy has reached every layer it should."""
        super().initialize_from_config(kv_cache_config)  # type: ignore[misc]
        self._policed = policed_layers(self.vllm_config, self.model_runner)
        rope = rope_of(self.model_runner.get_model())
        if rope is None and _moves(self.model_runner):
            raise PolicyRefused(
                "This model's rotary positions cannot be moved (it has none, or scales its angles): block_recall, and "
                "streams beyond the trained context, need ones that can. --max-model-len of the trained length works."
            )
        BOARD.open(rope)

    def execute_model(self, scheduler_output: Any) -> Any:
        """vLLM's own step, with plans."""
        step = BOARD.begin(getattr(scheduler_output, "mneme", None), self._rows)
        again = scheduler_output.scheduled_cached_reqs.resumed_req_ids  # preempted: they compute everything anew
        SHELVES.forget({*scheduler_output.finished_req_ids, *again})
        if any(plan.leaving for plan in step.plans.values()):
            SHELVES.fill(step.plans, self._policed, BOARD.rope(), self._policy())
        self._scheduled = scheduler_output
        return self._with_scores(super().execute_model(scheduler_output))  # type: ignore[misc]

    def sample_tokens(self, grammar_output: Any) -> Any:
        """vLLM samples in a second call."""
        try:
            return self._with_scores(super().sample_tokens(grammar_output))  # type: ignore[misc]
        finally:
            BOARD.end()

    def kv_report(self) -> dict[str, Any]:
        """This process, for whoever asks whether the policy is active in it."""
        layers = set(map(extract_layer_index, self._policed))  # duo may have cut one into several
        return {"role": "worker", "rank": self.rank, "layers": len(layers), **BOARD.report()}

    def _policy(self) -> Policy:
        policy: Policy = next(iter(self._policed.values())).get_kv_cache_spec(self.vllm_config).policy
        return policy

    def _rows(self) -> Any:
        return self.model_runner.input_batch.req_ids

    def _with_scores(self, output: Any) -> Any:
        ahead = isinstance(output, AsyncModelRunnerOutput)
        if not ahead and not hasattr(output, "prompt_logprobs_dict"):
            return output
        asked = scored(self.model_runner, self._scheduled)
        if ahead:
            return ScoredLater(output, asked) if asked else output
        if any(each.table is not None for each in asked):
            self.model_runner._sync_device()  # a prompt's chunks are on their way to the host: vLLM waits for the last
        output.mneme_surprise = surprises(asked, output)
        return output


@dataclass(frozen=True, slots=True)
class Scored:
    """A request whose tokens [start, start + tokens) this step scores. `table`: vLLM's scores of its prompt, while they
    are incomplete."""

    request: str
    start: int
    tokens: int
    table: Any


class ScoredLater(AsyncModelRunnerOutput):
    """vLLM's output of a step that still runs while the next one is prepared: scores come with its tokens."""

    def __init__(self, output: AsyncModelRunnerOutput, asked: list[Scored]) -> None:
        self._output, self._asked = output, asked

    def get_output(self) -> Any:
        """Once the step has ended, which its prompts' scores have then too."""
        output: Any = self._output.get_output()
        output.mneme_surprise = surprises(self._asked, output)
        return output


def policed_layers(vllm_config: Any, runner: Any) -> dict[str, Any]:
    """The attention layers that follow a policy through our builders; PolicyRefused unless the layout is as
    configured."""
    choice = configured(vllm_config)
    if choice is None:
        raise PolicyRefused("A worker of KV policies was started without a policy.")
    found: dict[str, Any] = {}
    layers = vllm_config.compilation_config.static_forward_context
    for groups in runner.attn_groups:
        for group in groups:
            if isinstance(group.kv_cache_spec, PolicySpec):
                builder = group.get_metadata_builder(0)
                if not isinstance(builder, CompactingBuilder):
                    raise PolicyRefused(
                        f"{type(builder).__name__} knows no KV policy: choose another attention backend."
                    )
                found.update({name: layers[name] for name in group.layer_names})
    if not found:
        raise PolicyRefused(
            f"No layer of this model follows {choice.name}: the plug-in is not active in pid {os.getpid()}."
        )
    return found


def _moves(runner: Any) -> bool:
    """Whether blocks may have to be read elsewhere than they stand."""
    specs = [group.kv_cache_spec for groups in runner.attn_groups for group in groups]
    return any(isinstance(spec, PolicySpec) and (spec.policy.room() or spec.trained) for spec in specs)


def rope_of(model: Any) -> Rope | None:
    """The model's rotary table, if it has one whose turns add up: cosine² + sine² = 1 at every angle."""
    for module in model.modules():
        table = getattr(module, "cos_sin_cache", None)
        if isinstance(table, torch.Tensor):
            cosine, sine = table.to(torch.float32).chunk(2, dim=-1)
            unit = torch.allclose(cosine**2 + sine**2, torch.ones_like(sine), atol=2e-2)
            return Rope(table, bool(module.is_neox_style)) if unit else None
    return None


def scored(runner: Any, scheduled: Any) -> list[Scored]:
    """Whose tokens are scored in this step, as the runner knows it now: it moves on before the scores are there."""
    starts = {new.req_id: new.num_computed_tokens for new in scheduled.scheduled_new_reqs}
    cached = scheduled.scheduled_cached_reqs
    starts.update(zip(cached.req_ids, cached.num_computed_tokens, strict=True))
    return [
        Scored(request, starts[request], tokens, state.in_progress_prompt_logprobs_cpu)
        for request, tokens in scheduled.num_scheduled_tokens.items()
        if (state := runner.requests.get(request)) is not None
        and state.sampling_params is not None
        and state.sampling_params.prompt_logprobs is not None
    ]


def surprises(asked: list[Scored], output: Any) -> dict[str, list[tuple[int, float]]]:
    """(position, −log p) of each token scored in this step, by request: prompt tokens chunk by chunk, and sampled
    ones."""
    found: dict[str, list[tuple[int, float]]] = {}
    for each in asked:
        told, stop = output.prompt_logprobs_dict.get(each.request), each.start + each.tokens
        table = told if told is not None else each.table
        scores = found.setdefault(each.request, [])
        if table is not None:
            until = min(stop, len(table.logprobs))
            scores += [(at + 1, -float(table.logprobs[at, 0])) for at in range(each.start, until)]
        row = output.req_id_to_index.get(each.request)
        sampled = output.sampled_token_ids[row] if row is not None and output.sampled_token_ids else []
        if output.logprobs is not None and len(sampled):
            rows = output.logprobs.slice_request(row, len(sampled)).logprobs
            scores += [(stop + at, -float(rows[at, 0])) for at in range(len(sampled))]
    return found
