"""How a worker hands over scores where vLLM schedules ahead, as it does on a GPU: outputs are then promises, kept when
the step has ended. vLLM's runner is played here; the values are vLLM's own types."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from vllm.v1.outputs import AsyncModelRunnerOutput, LogprobsLists, LogprobsTensors, ModelRunnerOutput

from workers.vllm_plugin.worker import Policed


class _Runner:
    """Two requests, the second of which asked for no scores; the first one's prompt of eight is half read."""

    def __init__(self) -> None:
        self.prompt = LogprobsTensors.empty_cpu(7, 1)
        asking = SimpleNamespace(prompt_logprobs=0)
        self.requests = {
            "a": SimpleNamespace(sampling_params=asking, in_progress_prompt_logprobs_cpu=self.prompt),
            "b": SimpleNamespace(
                sampling_params=SimpleNamespace(prompt_logprobs=None), in_progress_prompt_logprobs_cpu=None
            ),
        }
        self.waited = 0

    def _sync_device(self) -> None:
        self.waited += 1
        self.prompt.logprobs[:4] = -torch.arange(1.0, 5.0)[:, None]


class _Promise(AsyncModelRunnerOutput):
    def __init__(self, runner: _Runner, output: ModelRunnerOutput) -> None:
        self._runner, self._output = runner, output

    def get_output(self) -> ModelRunnerOutput:
        self._runner._sync_device()
        return self._output


class _Stock:
    """vLLM's worker: samples what it was told to."""

    output: Any

    def sample_tokens(self, grammar_output: Any) -> Any:
        return self.output


class _Worker(Policed, _Stock):
    def __init__(self, runner: _Runner, output: Any, tokens: dict[str, int]) -> None:
        self.model_runner, self.output = runner, output
        new = [SimpleNamespace(req_id=name, num_computed_tokens=0) for name in tokens]
        cached = SimpleNamespace(req_ids=[], num_computed_tokens=[])
        self._scheduled = SimpleNamespace(
            scheduled_new_reqs=new, scheduled_cached_reqs=cached, num_scheduled_tokens=tokens
        )


def _output(sampled: list[list[int]], scores: LogprobsLists | None) -> ModelRunnerOutput:
    return ModelRunnerOutput(
        req_ids=["a", "b"],
        req_id_to_index={"a": 0, "b": 1},
        sampled_token_ids=sampled,
        logprobs=scores,
        prompt_logprobs_dict={},
    )


def test_a_promised_step_brings_the_scores_of_its_chunk_when_it_is_kept() -> None:
    """Four prompt tokens of a step that still runs: scored when the output is there, which it is not before."""
    runner = _Runner()
    promise = _Worker(runner, _Promise(runner, _output([[], [7]], None)), {"a": 4, "b": 1}).sample_tokens(None)

    assert isinstance(promise, AsyncModelRunnerOutput)
    runner.requests.clear()  # the runner has moved on
    assert promise.get_output().mneme_surprise == {"a": [(1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0)]}


def test_a_sampled_token_is_scored_where_it_will_stand() -> None:
    """A step of one token at position 0, whose sampled token is position 1."""
    runner = _Runner()
    runner.requests["a"].in_progress_prompt_logprobs_cpu = None
    scores = LogprobsLists(np.array([[9], [7]]), np.array([[-0.5], [-0.25]]), np.array([0, 0]))
    promise = _Worker(runner, _Promise(runner, _output([[9], [7]], scores)), {"a": 1, "b": 1}).sample_tokens(None)

    assert promise.get_output().mneme_surprise == {"a": [(1, 0.5)]}


def test_a_step_that_scores_nothing_stays_vllms_own() -> None:
    """No wrapper around outputs of requests that asked for nothing."""
    runner = _Runner()
    theirs = _Promise(runner, _output([[], [7]], None))

    assert _Worker(runner, theirs, {"b": 1}).sample_tokens(None) is theirs


def test_chunks_that_are_on_their_way_are_waited_for() -> None:
    """vLLM copies a chunk's scores without waiting, and waits itself only for a prompt's last chunk."""
    runner = _Runner()
    output = _Worker(runner, _output([[], [7]], None), {"a": 4, "b": 1}).sample_tokens(None)

    assert runner.waited == 1
    assert output.mneme_surprise == {"a": [(1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0)]}
