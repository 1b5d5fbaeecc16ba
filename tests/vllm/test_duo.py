"""DuoAttention by KV head in the real engine: exact where a layer's heads differ, and smaller than full attention."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.vllm.comparing import CLOSE, prompts
from tests.vllm.engine import BLOCK, Running, engine
from tests.vllm.reference import by_policy, logprobs
from tests.vllm.tiny import LAYERS, build
from workers.kv.errors import PolicyRefused

KV_HEADS = 4
NARROW = {"sink": 32, "window": 64}
UNEVEN = {0: (0,), 1: (1, 2, 3), 3: (0, 2, 3)}
PAIRS = {0: (0, 3), 1: (1, 2), 2: (0, 1, 2, 3)}
LONG = 2000
HEAD = 2 * 32 * 4
"""Bytes of a token's key and value in one head."""


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of four KV heads, two query heads each."""
    return build(tmp_path_factory.mktemp("wide-llama"), heads=2 * KV_HEADS, kv_heads=KV_HEADS)


@pytest.fixture(scope="module", params=[(UNEVEN, 104), (PAIRS, 84)], ids=["uneven", "pairs"])
def mixed(wide: Path, request: pytest.FixtureRequest) -> Iterator[Running]:
    """An engine in whose layers some heads retrieve, all do, or none does; its pool is too small for all at once."""
    heads, pool = request.param
    knobs = {**NARROW, "heads": heads}
    with engine(
        wide, "duo", knobs, max_num_batched_tokens=96, num_gpu_blocks_override=pool, max_model_len=2304
    ) as running:
        yield running


def ask(running: Running, asked: Sequence[Sequence[int]], lengths: Sequence[int]) -> list[Any]:
    """Everything at once, greedily."""
    from vllm import SamplingParams

    params = [SamplingParams(temperature=0, max_tokens=each, ignore_eos=True, logprobs=0) for each in lengths]
    return running.generate(asked, params)


def distance(running: Running, model: Path, prompt: Sequence[int], output: Any) -> float:
    """The largest difference in log p from Hugging Face under the same policy by head; infinite for other tokens."""
    sample = output.outputs[0]
    tokens = [*prompt, *sample.token_ids]
    scores = logprobs(model, tokens, by_policy(running.choice, BLOCK, tokens, KV_HEADS))[len(prompt) - 1 : -1]
    if scores.argmax(-1).tolist() != list(sample.token_ids):
        return float("inf")
    told = [float(next(iter(each.values())).logprob) for each in sample.logprobs]
    return max(abs(float(row[token]) - each) for row, token, each in zip(scores, sample.token_ids, told, strict=True))


def test_heads_of_a_layer_read_each_their_own(wide: Path, mixed: Running) -> None:
    """2,000 tokens of concurrent requests with shared beginnings, in chunks, through preemptions: log p within 1e-4."""
    chance, asked = random.Random(5), prompts(seed=3)
    lengths = [chance.randrange(80, 250) for _ in asked]
    outputs = ask(mixed, asked, lengths)

    assert sum(lengths) >= 2000
    assert mixed.metric("vllm:num_preemptions") > 0
    assert max(distance(mixed, wide, *each) for each in zip(asked, outputs, strict=True)) <= CLOSE


def test_a_prefix_is_found_again_in_all_of_a_layers_slices(wide: Path, mixed: Running) -> None:
    """A prompt that went before is not computed again, and goes on as it would have."""
    prompt = prompts(seed=6, number=1)[0] + [7] * 200
    ask(mixed, [prompt], [1])
    again = [*prompt, 20, 21, 22]
    output = ask(mixed, [again], [40])[0]

    assert output.num_cached_tokens >= len(prompt) - BLOCK
    assert distance(mixed, wide, again, output) <= CLOSE


def test_a_long_request_holds_what_its_retrieval_heads_need(mixed: Running) -> None:
    """Of 2,000 tokens: the retrieval heads' keys and values, and of each streaming head a few blocks."""
    bytes_held = held(mixed, [0] + [20] * (LONG - 1))

    retrieving = sum(map(len, (mixed.choice.knobs.heads or {}).values()))
    streaming = -(-(LAYERS * KV_HEADS - retrieving) // retrieving) * retrieving  # in groups of as many
    few = 32 + 64 + 96 + 2 * BLOCK  # sink, window, the step in flight, a broken block at each end
    assert bytes_held >= retrieving * LONG * HEAD
    assert bytes_held <= (retrieving * (LONG + BLOCK) + streaming * few) * HEAD
    assert bytes_held <= 0.6 * LAYERS * KV_HEADS * LONG * HEAD


def test_heads_that_the_model_lacks_are_refused(wide: Path) -> None:
    """The engine does not start, and says which there are."""
    knobs = {**NARROW, "heads": {0: (4,)}}
    with pytest.raises(PolicyRefused, match="KV heads are 0 to 3"), engine(wide, "duo", knobs):
        pass


def held(running: Running, prompt: Sequence[int]) -> int:
    """Bytes of the pool that one request holds once its prompt is computed."""
    from vllm import SamplingParams

    engine_ = running.llm.llm_engine
    manager = engine_.engine_core.engine_core.scheduler.kv_cache_manager
    config, pool = manager.kv_cache_config, manager.block_pool
    engine_.add_request("long", {"prompt_token_ids": list(prompt)}, SamplingParams(max_tokens=2, ignore_eos=True))
    while not any(output.outputs for output in engine_.step()):
        pass
    used = pool.num_gpu_blocks - 1 - pool.get_num_free_blocks()
    engine_.abort_request(["long"])
    return int(used * config.kv_cache_tensors[0].size // config.num_blocks)
