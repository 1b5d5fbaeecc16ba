"""One real worker, in its own processes, asked as clients ask: the proof, choices per request, the prefix cache between
them, refusals, and what happens to blocks when a client leaves."""

import os
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.vllm.reference import by_policy, logprobs
from tests.vllm.server import BLOCK, Served, serving
from tests.vllm.tiny import KV_HEADS, LAYERS
from workers.kv.choice import chosen

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

OWN: dict[str, int] = {"sink": 32, "window": 64}
POOL, LONGEST = 200, 2048


@pytest.fixture(scope="module")
def worker(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Under sinks and a window, in a pool that can hold full attention too."""
    options = f"--kv sink_window --sink 32 --window 64 --max-model-len {LONGEST} --max-num-batched-tokens 128"
    log = tmp_path_factory.mktemp("worker") / "log"
    with serving(tiny, log, *options.split(), "--num-gpu-blocks-override", str(POOL)) as served:
        yield served


@pytest.fixture(scope="module")
def client(worker: Served) -> Iterator[openai.OpenAI]:
    """OpenAI's own."""
    with openai.OpenAI(base_url=f"{worker.url}/v1", api_key="none", timeout=120, max_retries=0) as made:
        yield made


def tokens(seed: int, number: int) -> list[int]:
    """A prompt of random words."""
    chance = random.Random(seed)
    return [0] + [chance.randrange(10, 330) for _ in range(number - 1)]


def complete(client: openai.OpenAI, prompt: list[int], number: int = 4, **extra: Any) -> Any:
    """A greedy completion of exactly `number` tokens."""
    extra = {"ignore_eos": True, "return_token_ids": True, **extra}
    return client.completions.create(
        model="tiny", prompt=prompt, max_tokens=number, temperature=0, logprobs=0, extra_body=extra
    )


def cached(client: openai.OpenAI, prompt: list[int], **extra: Any) -> int:
    """How many of the prompt's tokens were not computed anew."""
    return int(complete(client, prompt, **extra).usage.prompt_tokens_details.cached_tokens)


def kv(**arguments: Any) -> dict[str, Any]:
    """What a request asks of the policy."""
    return {"vllm_xargs": {f"kv_{name}": value for name, value in arguments.items()}}


def wait_until(holds: Any, seconds: float = 30) -> bool:
    """Whether it holds within that time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_the_policy_is_proven_in_every_process(worker: Served) -> None:
    """The page names the policy, its knobs, and each process that lives, with the layers that follow it there."""
    told = worker.get("/kv")
    processes = told.pop("processes")

    assert told == {
        "object": "kv.policy",
        "policy": "sink_window",
        "knobs": OWN,
        "block": BLOCK,
        "trained": 8192,
        "per_request": ["full", "sink_window", "surprisal"],
        "vllm": told["vllm"],
        "sessions": False,
    }
    assert [(each["role"], each["rank"], each["layers"]) for each in processes] == [
        ("api", 0, 0),
        ("engine", 0, LAYERS),
        ("worker", 0, LAYERS),
    ]
    assert processes[0]["pid"] == worker.pid
    assert len({each["pid"] for each in processes}) == 3
    for each in processes:
        os.kill(each["pid"], 0)


def test_the_proof_holds_after_steps_were_run(worker: Served, client: openai.OpenAI) -> None:
    """The worker then knows which engine, under which policy, sent its last step."""
    complete(client, tokens(1, 40))

    assert [each["role"] for each in worker.get("/kv")["processes"]] == ["api", "engine", "worker"]


def test_each_request_is_answered_under_its_own_choice(tiny: Path, client: openai.OpenAI) -> None:
    """Side by side, across processes: the log p of masked attention within 1e-4, its choice every time."""
    choices: list[tuple[str, dict[str, Any]]] = [
        ("sink_window", {}),
        ("sink_window", {"window": 96}),
        ("sink_window", {"sink": 40, "window": 32}),
        ("full", {}),
    ]
    prompt = tokens(2, 300)

    def ask(asked: tuple[str, dict[str, Any]]) -> Any:
        name, knobs = asked
        return complete(client, prompt, 40, **kv(policy=name, **knobs))

    with ThreadPoolExecutor(len(choices)) as side_by_side:
        answers = list(side_by_side.map(ask, choices))

    for (name, knobs), answer in zip(choices, answers, strict=True):
        said = answer.choices[0]
        whole = [*prompt, *said.token_ids]
        choice = chosen(name, {**OWN, **knobs} if name == "sink_window" else {})
        scores = logprobs(tiny, whole, by_policy(choice, BLOCK, whole, KV_HEADS))[len(prompt) - 1 : -1]
        assert scores.argmax(-1).tolist() == said.token_ids
        told = [float(scores[at, token]) for at, token in enumerate(said.token_ids)]
        assert said.logprobs.token_logprobs == pytest.approx(told, abs=1e-4)


def test_a_choice_of_its_own_does_not_share_blocks(client: openai.OpenAI) -> None:
    """What was computed under one window is not found under another; under the same one it is."""
    prompt = tokens(3, 150)

    assert cached(client, prompt) == 0
    assert cached(client, prompt) == 128
    assert cached(client, prompt, **kv(window=96)) == 0
    assert cached(client, prompt, **kv(window=96)) == 128
    assert cached(client, prompt, **kv(policy="full")) == 0
    assert cached(client, prompt, **kv(policy="full")) == 128


def test_the_engines_own_choice_needs_no_naming(client: openai.OpenAI) -> None:
    """A request that asks for what it would get anyway shares blocks with those that ask for nothing."""
    prompt = tokens(4, 150)
    complete(client, prompt)

    assert cached(client, prompt, **kv(policy="sink_window", sink=32, window=64)) == 128


def test_a_clients_salt_still_keeps_apart(client: openai.OpenAI) -> None:
    """Under the engine's choice and under one of its own."""
    prompt = tokens(5, 150)
    for extra in ({}, kv(window=96)):
        complete(client, prompt, **extra)

        assert cached(client, prompt, cache_salt="a", **extra) == 0
        assert cached(client, prompt, cache_salt="a", **extra) == 128
        assert cached(client, prompt, cache_salt="b", **extra) == 0


def test_a_surprisal_request_shares_nothing(client: openai.OpenAI) -> None:
    """What it retains depends on more than the prefix; the client sees none of the scores that it needs."""
    prompt = tokens(6, 400)
    asked = {"vllm_xargs": {"kv_policy": "surprisal", "kv_budget": 64}, "logprobs": None}

    for _ in range(2):
        answer = complete(client, prompt, 8, **asked)

        assert answer.usage.prompt_tokens_details.cached_tokens == 0
        assert answer.choices[0].logprobs is None
        assert len(answer.choices[0].token_ids) == 8


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (kv(policy="frob"), "There is no KV policy 'frob'"),
        (kv(frob=1), "no knob 'frob'; it takes sink, window"),
        (kv(window=50), "window 50 is not a multiple of the block of 32 tokens; 32 or 64 would be"),
        (kv(window="wide"), "window: Input should be a valid integer"),
        (kv(sink=-1), "sink: Input should be greater than or equal to 0"),
        (kv(policy="modality_window"), "needs vision_tokens"),
        (kv(policy="duo"), "duo cannot be chosen per request"),
        (kv(policy="block_recall"), "block_recall cannot be chosen per request"),
    ],
)
@pytest.mark.parametrize("route", ["chat/completions", "completions"])
def test_what_cannot_be_is_a_400(worker: Served, route: str, asked: dict[str, Any], reason: str) -> None:
    """In OpenAI's form, with the reason; never another policy in its place."""
    prompt: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}]} if "chat" in route else {"prompt": "hi"}

    answer = httpx.post(f"{worker.url}/v1/{route}", json={"model": "tiny", "max_tokens": 2, **prompt, **asked})

    assert answer.status_code == 400
    assert reason in answer.json()["error"]["message"]
    assert worker.get("/kv/requests")["requests"] == []


def test_the_client_sees_a_bad_request(client: openai.OpenAI) -> None:
    """As OpenAI's own client knows it."""
    with pytest.raises(openai.BadRequestError, match="There is no KV policy"):
        complete(client, tokens(7, 20), **kv(policy="frob"))


def test_chats_stream(client: openai.OpenAI) -> None:
    """Under a choice of their own, with their usage at the end."""
    stream = client.chat.completions.create(
        model="tiny",
        messages=[{"role": "user", "content": "The quick brown fox jumps over the lazy dog. " * 20}],
        max_tokens=24,
        stream=True,
        stream_options={"include_usage": True},
        extra_body={"ignore_eos": True, **kv(policy="sink_window", sink=64, window=96)},
    )

    *said, last = list(stream)

    assert [choice.finish_reason for chunk in said for choice in chunk.choices if choice.finish_reason] == ["length"]
    assert last.usage is not None
    assert last.usage.completion_tokens == 24


def test_several_answers_each_follow_the_choice(client: openai.OpenAI) -> None:
    """n=2: the same prompt's blocks under them, and each goes its own way."""
    extra = {"ignore_eos": True, **kv(window=96)}

    answer = client.completions.create(
        model="tiny", prompt=tokens(8, 200), n=2, max_tokens=60, temperature=1, extra_body=extra
    )

    assert [choice.finish_reason for choice in answer.choices] == ["length", "length"]
    assert answer.choices[0].text != answer.choices[1].text


def test_blocks_show_while_they_are_held(worker: Served, client: openai.OpenAI) -> None:
    """The sink, and a window that moves; they come back when the client leaves in the middle of a stream."""
    stream = client.completions.create(
        model="tiny", prompt=tokens(9, 500), max_tokens=LONGEST - 600, stream=True, extra_body={"ignore_eos": True}
    )
    next(iter(stream))
    assert wait_until(lambda: worker.get("/kv/requests")["requests"])
    told = worker.get("/kv/requests")
    held = worker.metric("vllm:kv_cache_usage_perc")
    stream.close()

    assert (told["object"], told["block"], told["pool"]) == ("kv.requests", BLOCK, POOL)
    assert [each["policy"] for each in told["requests"]] == ["sink_window"]
    at = told["requests"][0]["tokens"] // BLOCK
    sink, window = told["requests"][0]["live"]
    assert sink == [0, 1]
    assert at - 3 <= window[0] < window[1] <= at + 2
    assert 0 < held < 10 / POOL
    assert wait_until(lambda: worker.get("/kv/requests")["requests"] == [])
    assert wait_until(lambda: worker.metric("vllm:kv_cache_usage_perc") == 0)


def test_the_other_pages_are_vllms(worker: Served) -> None:
    """The plug-in adds its own and takes none away."""
    assert worker.get("/v1/models")["data"][0]["max_model_len"] == LONGEST
    assert httpx.get(f"{worker.url}/health").status_code == 200
    assert httpx.post(f"{worker.url}/tokenize", json={"model": "tiny", "prompt": "hi"}).json()["count"] > 0
