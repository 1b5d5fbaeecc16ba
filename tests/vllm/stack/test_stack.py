"""OpenAI's client, the gateway, a vLLM worker under a KV policy: what passes through all three, and what shows."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import openai
import pytest

from tests.vllm.server import BLOCK
from tests.vllm.stack.running import LONGEST, SINK, TENANTS, WINDOW, Stack, until
from tests.vllm.stack.talk import SYSTEM

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

KNOBS = {"sink": SINK, "window": WINDOW}
FACT = "My sister Ada keeps bees on a roof in Riga, and the honey tastes of lime trees."
QUESTION = "Where does my sister Ada keep her bees?"
LONG = "The quick brown fox jumps over the lazy dog, and memory streams into blocks. " * 12


def user(text: str) -> Any:
    """A message of the user's."""
    return {"role": "user", "content": text}


def ask(client: openai.OpenAI, *messages: Any, model: str = "tiny", tokens: int = 16, **extra: Any) -> Any:
    """A greedy answer of exactly so many tokens, with its headers."""
    return client.chat.completions.with_raw_response.create(
        model=model,
        messages=list(messages),
        max_tokens=tokens,
        temperature=0,
        extra_body={"ignore_eos": True, **extra},
    )


@contextmanager
def streaming(client: openai.OpenAI, *messages: Any, model: str = "tiny", **extra: Any) -> Iterator[Any]:
    """An answer that has begun and will not end soon; left in the middle when the block ends."""
    stream = client.chat.completions.create(
        model=model,
        messages=list(messages),
        max_tokens=LONGEST // 2,
        stream=True,
        extra_body={"ignore_eos": True, **extra},
    )
    try:
        next(iter(stream))
        yield stream
    finally:
        stream.close()


def running(stack: Stack, parts: int) -> Any:
    """The one request that the worker runs, as soon as what it holds has so many parts."""
    assert until(lambda: [len(each["live"]) for each in stack.held()] == [parts])
    (found,) = stack.held()
    return found


def idle(stack: Stack) -> bool:
    """Whether the worker soon holds nothing."""
    return until(lambda: stack.held() == [])


def head_tokens(stack: Stack, system: str) -> int:
    """The length of a system message at the head of a prompt, as the worker counts it."""
    messages = [{"role": "system", "content": system}, user("")]
    told = {"model": "tiny", "messages": messages, "add_generation_prompt": False}
    return int(httpx.post(f"{stack.worker.url}/tokenize", json=told, timeout=30).json()["count"])


def test_an_answer_is_the_workers(stack: Stack) -> None:
    """With memory on and nothing to recall, the client reads what the worker says to the same prompt."""
    message = user("What is a mill race?")
    with stack.client("plain") as ours, stack.direct() as theirs:
        answer = ask(ours, message)
        expected = ask(theirs, message).parse()

    assert (answer.headers["x-mneme-mode"], answer.headers["x-mneme-count"]) == ("on", "0")
    assert answer.parse().choices[0].message.content == expected.choices[0].message.content
    assert answer.parse().usage.completion_tokens == 16


def test_a_stream_says_the_same(stack: Stack) -> None:
    """Chunk by chunk, with its usage at the end."""
    message, salts = user("What does a cooper make?"), iter(("whole", "pieces"))
    with stack.client("streams") as client:
        whole = ask(client, message, cache_salt=next(salts)).parse().choices[0].message.content
        *chunks, last = client.chat.completions.create(
            model="tiny",
            messages=[message],
            max_tokens=16,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
            extra_body={"ignore_eos": True, "cache_salt": next(salts)},
        )

    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole
    assert last.usage is not None
    assert last.usage.completion_tokens == 16


def test_models_tell_the_policy(stack: Stack) -> None:
    """The worker's own with its knobs; an alias with the policy that it stands for."""
    with stack.client("models") as client:
        cards = {card.id: card.to_dict() for card in client.models.list()}

    assert sorted(cards) == ["endless", "tiny", "whole"]
    told: Any = {name: card["kv"] for name, card in cards.items()}
    assert (told["tiny"]["policy"], told["tiny"]["knobs"]) == ("sink_window", KNOBS)
    assert (told["endless"]["policy"], told["whole"]["policy"]) == ("sink_window", "full")


def test_operators_see_the_policy(stack: Stack) -> None:
    """With the processes that prove it, and the names that lead to the worker or nowhere."""
    page = stack.admin("workers")

    (worker,) = page["workers"]
    assert (worker["reachable"], worker["default"]) == (True, True)
    assert (worker["kv"]["policy"], worker["kv"]["knobs"], worker["kv"]["block"]) == ("sink_window", KNOBS, BLOCK)
    assert [process["role"] for process in worker["kv"]["processes"]] == ["api", "engine", "worker"]
    assert worker["kv"]["processes"] == stack.worker.get("/kv")["processes"]
    assert {alias["name"]: alias["policy"] for alias in worker["aliases"]} == {
        "endless": "sink_window",
        "whole": "full",
    }
    assert page["unserved"] == ["headed"]


@pytest.mark.parametrize("model", ["tiny", "whole"])
def test_a_later_conversation_remembers(stack: Stack, model: str) -> None:
    """What was told in one is in the prompt of the next, under the worker's policy and under an alias's."""
    who = f"remembers, {model}"
    with stack.client(who) as client, stack.direct() as direct:
        ask(client, user(FACT), model=model)
        answer = ask(client, user(QUESTION), model=model)
        bare = ask(direct, user(QUESTION)).parse()

    assert answer.headers["x-mneme-count"] == "1"
    assert FACT in stack.admin(f"traces/{answer.headers['x-mneme-trace']}", user=who)["injected"]
    assert answer.parse().usage.prompt_tokens > bare.usage.prompt_tokens + len(FACT.split())


def test_the_next_turn_finds_its_beginning_cached(stack: Stack) -> None:
    """All whole blocks of the turn before, memory included."""
    with stack.client("continues") as client:
        ask(client, user(FACT))
        first = ask(client, user(QUESTION)).parse().usage
        turns = (user(QUESTION), {"role": "assistant", "content": "In Riga."}, user("Is that on the sea?"))
        second = ask(client, *turns).parse().usage

    assert second.prompt_tokens_details.cached_tokens >= first.prompt_tokens // BLOCK * BLOCK > 0


def test_the_system_message_is_the_sink(stack: Stack) -> None:
    """The gateway counts it and asks for it; the worker keeps its blocks, lets go of what lies between, and holds the
    window that the client itself asked for."""
    kept = math.ceil(head_tokens(stack, SYSTEM) / BLOCK)
    system = {"role": "system", "content": SYSTEM}
    with (
        stack.client("pinned") as client,
        streaming(client, system, user(LONG), vllm_xargs={"kv_window": 64}),
    ):
        found = running(stack, parts=2)

    (sink, window), at = found["live"], found["tokens"] // BLOCK
    assert kept > SINK // BLOCK
    assert sink == [0, kept]
    assert at - 3 <= window[0] < window[1] <= at + 2
    assert idle(stack)


def test_an_alias_brings_its_policy(stack: Stack) -> None:
    """The request runs under it, beside a worker whose own is another."""
    with stack.client("aliased") as client, streaming(client, user(LONG), model="whole"):
        found = running(stack, parts=1)

    assert found["policy"] == "full"
    assert [first for first, _ in found["live"]] == [0]
    assert idle(stack)


def test_the_gateway_shows_what_the_worker_holds(stack: Stack) -> None:
    """Its policy, its pool and its running requests, as the worker's own pages tell them."""
    url = f"{stack.worker.url}/v1"
    with stack.client("watched") as client, streaming(client, user(LONG)):
        own = running(stack, parts=2)
        shown = stack.admin("workers/kv", url=url)

    policy, held = stack.worker.get("/kv"), stack.worker.get("/kv/requests")
    (request,) = shown["requests"]
    assert (request["id"], request["policy"]) == (own["id"], "sink_window")
    assert request["tokens"] >= own["tokens"]
    assert request["live"][0] == own["live"][0]
    assert {**shown["kv"], "object": "kv.policy"} == policy
    assert (shown["url"], shown["block"], shown["pool"]) == (url, held["block"], held["pool"])
    assert idle(stack)


def test_who_leaves_frees_the_workers_blocks(stack: Stack) -> None:
    """A client that closes its stream aborts the request behind the gateway."""
    with stack.client("leaves") as client, streaming(client, user(LONG)):
        assert stack.held() != []

    assert idle(stack)
    assert until(lambda: stack.worker.metric("vllm:kv_cache_usage_perc") == 0)


def test_tenants_share_no_prefix(stack: Stack) -> None:
    """The same words of two users of one tenant meet in the worker's prefix cache; another tenant's do not."""
    one, other = TENANTS
    cached = []
    for who, tenant in (("first", one), ("second", one), ("third", other)):
        with stack.client(who, tenant) as client:
            usage = ask(client, user(f"Share this. {LONG}")).parse().usage
        cached.append(usage.prompt_tokens_details.cached_tokens)

    assert cached == [0, usage.prompt_tokens // BLOCK * BLOCK, 0]


def test_what_the_policy_cannot_do_is_the_clients_400(stack: Stack) -> None:
    """The worker's reason, as OpenAI's client knows it."""
    with stack.client("refused") as client, pytest.raises(openai.BadRequestError, match="multiple of the block"):
        ask(client, user("Hello."), vllm_xargs={"kv_window": 50})


def test_a_policy_that_no_worker_has_is_a_404(stack: Stack) -> None:
    """Its name is never answered under another policy."""
    with stack.client("nowhere") as client, pytest.raises(openai.NotFoundError) as refused:
        ask(client, user("Hello."), model="headed")

    assert refused.value.code == "model_not_found"
