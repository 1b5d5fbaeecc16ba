"""What a long stream and a crowded pool do to requests under a policy, in the real engine."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.vllm.comparing import CLOSE, POLICIES, SMALL, answered, compare, prompts
from tests.vllm.engine import BLOCK, engine
from tests.vllm.reference import by_policy, logprobs
from tests.vllm.tiny import KV_HEADS
from workers.kv.choice import chosen
from workers.launch import engine_arguments

CHUNK = 512


@pytest.mark.slow
def test_a_hundred_thousand_tokens_fit_into_a_handful_of_blocks(tiny: Path) -> None:
    """In a pool of sink, window and one step: the blocks that are read stay as few as at the start."""
    from vllm import SamplingParams

    pool = (SMALL["sink"] + SMALL["window"] + CHUNK) // BLOCK + 4
    chance = random.Random(1)
    stream = [0] + [chance.randrange(10, 330) for _ in range(100_000)]
    with engine(
        tiny,
        "sink_window",
        SMALL,
        trained=8192,
        max_model_len=101_000,
        num_gpu_blocks_override=pool,
        max_num_batched_tokens=CHUNK,
        hf_overrides={"max_position_embeddings": 101_000},
    ) as running:
        (output,) = running.generate([stream], SamplingParams(temperature=0, max_tokens=64, ignore_eos=True))
        reads = [sum(len(part) for part in read.reads) for read in running.reads]

    assert len(output.outputs[0].token_ids) == 64
    assert max(reads) == (SMALL["sink"] + SMALL["window"]) // BLOCK + 1


def test_stock_vllm_refuses_the_same_stream(tiny: Path) -> None:
    """Full attention cannot promise a context that its pool does not hold: the engine does not start."""
    with (
        pytest.raises(ValueError, match="max seq len"),
        engine(tiny, "full", {}, max_model_len=8192, num_gpu_blocks_override=23, max_num_batched_tokens=CHUNK),
    ):
        pass


@pytest.mark.parametrize("policy", ["full", "sink_window", "surprisal", "modality_window", "block_recall"])
def test_a_preempted_request_goes_on_as_if_nothing_had_happened(tiny: Path, policy: str) -> None:
    """Everybody who runs is stopped midway and starts over: every answer is still the reference's."""
    from vllm import SamplingParams

    asked = [prompt[:300] for prompt in prompts(seed=6, number=5)]
    params = SamplingParams(temperature=0, max_tokens=200, ignore_eos=True, logprobs=0)
    done: dict[str, Any] = {}
    with engine(
        tiny, policy, POLICIES[policy], max_model_len=1024, num_gpu_blocks_override=120, max_num_batched_tokens=64
    ) as running:
        llm = running.llm.llm_engine
        for at, prompt in enumerate(asked):
            llm.add_request(str(at), {"prompt_token_ids": prompt}, params)
        for step in range(5000):
            if step in {60, 100}:
                llm.reset_prefix_cache(reset_running_requests=True)
            done.update({output.request_id: output for output in llm.step() if output.finished})
            if len(done) == len(asked):
                break
        preempted = running.metric("vllm:num_preemptions")
        outputs = [done[str(at)] for at in range(len(asked))]
        compared, worst, wrong = compare(running, tiny, asked, outputs)

    assert preempted > 0
    assert compared >= 300
    assert (worst <= CLOSE, wrong) == (True, 0), worst


@pytest.mark.parametrize("policy", ["sink_window", "surprisal"])
def test_several_answers_to_one_prompt_are_each_exact(tiny: Path, policy: str) -> None:
    """n = 3: requests that share all of their prompt and nothing of their answers."""
    from vllm import SamplingParams

    asked = prompts(seed=8, number=2)
    params = SamplingParams(temperature=1.0, n=3, max_tokens=90, ignore_eos=True, logprobs=0)
    with engine(tiny, policy, POLICIES[policy], num_gpu_blocks_override=120) as running:
        outputs = running.generate(asked, params)
        compared, worst, _ = compare(running, tiny, asked, outputs)

    assert compared == 2 * 3 * 90
    assert worst <= CLOSE


def test_compiled_models_are_exact_too(tiny: Path) -> None:
    """torch.compile around the same attention."""
    with engine(tiny, "sink_window", SMALL, num_gpu_blocks_override=120, enforce_eager=False) as running:
        compared, worst, wrong = answered(running, tiny, prompts(seed=3, number=3), longest=80)

    assert compared >= 150
    assert (worst <= CLOSE, wrong) == (True, 0), worst


@pytest.mark.parametrize("policy", ["sink_window", "surprisal"])
async def test_a_streaming_session_grows_under_its_policy(tiny: Path, policy: str) -> None:
    """Six inputs into one request, in a pool that could not hold them: each is answered, under the policy exactly."""
    turns = await _session(tiny, policy)
    worst, context = 0.0, list[int]()
    for asked, answer, told in turns:
        context += asked
        tokens = [*context, *answer]
        if policy == "sink_window":
            scores = logprobs(tiny, tokens, by_policy(chosen(policy, SMALL), BLOCK, tokens, KV_HEADS))
            differences = [
                abs(float(scores[len(context) - 1 + at, answer[at]]) - told[at]) for at in range(len(answer))
            ]
            worst = max(worst, *differences)
        context += answer[:-1]  # vLLM drops the last token of an answer when the next input comes

    assert [len(answer) for _, answer, _ in turns] == [4] * 6
    assert worst <= CLOSE


async def _session(tiny: Path, policy: str) -> list[tuple[list[int], list[int], list[float]]]:
    """(input, answer, log p of the answer) of each of six turns of 150 tokens."""
    from vllm import SamplingParams
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.engine.protocol import StreamingInput
    from vllm.sampling_params import RequestOutputKind
    from vllm.v1.engine.async_llm import AsyncLLM

    params = SamplingParams(
        temperature=0, max_tokens=4, ignore_eos=True, logprobs=0, output_kind=RequestOutputKind.DELTA
    )
    engine = AsyncLLM.from_engine_args(
        AsyncEngineArgs(
            model=str(tiny),
            dtype="float32",
            enforce_eager=True,
            max_model_len=1024,
            block_size=BLOCK,
            max_num_batched_tokens=128,
            max_num_seqs=4,
            num_gpu_blocks_override=20,
            **engine_arguments(chosen(policy, POLICIES[policy])),
        )
    )
    chance, answered = random.Random(2), asyncio.Queue[None]()
    inputs = [[chance.randrange(10, 330) for _ in range(150)] for _ in range(6)]

    async def asking() -> AsyncIterator[Any]:
        for tokens in inputs:
            yield StreamingInput(prompt={"prompt_token_ids": list(tokens)}, sampling_params=params)
            await answered.get()

    new: list[tuple[int, float]] = []
    try:
        async for output in engine.generate(asking(), params, request_id="one", session_id="S"):
            for token, scores in zip(output.outputs[0].token_ids, output.outputs[0].logprobs, strict=True):
                new.append((token, scores[token].logprob))
                if len(new) % 4 == 0:
                    answered.put_nowait(None)
    finally:
        engine.shutdown()
    answers = [new[at : at + 4] for at in range(0, len(new), 4)]
    return [
        (asked, [token for token, _ in answer], [score for _, score in answer])
        for asked, answer in zip(inputs, answers, strict=True)
    ]
