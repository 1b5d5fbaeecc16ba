"""What it costs the worker's prefix cache where memory goes in a prompt: the same conversations, replayed with the same
texts, placed in different ways. Measures; judges nothing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from openai import OpenAI

from tests.vllm.stack.running import Stack, until
from tests.vllm.stack.talk import FACTS, SYSTEM, TALKS, Message, Turn

Place = Callable[[list[Message], Sequence[str]], list[Message]]
"""(the prompt without memory, each turn's memory up to now, "" for none) → the prompt with it."""
_BUDGET = 120
"""Estimated tokens of memory for a turn: room for one of the facts, so that every turn has one to recall."""
POLICIES = {"sink_window": "tiny", "full": "whole"}
"""The worker's own policy, and one that the gateway's alias asks for; by the model's name there."""


_COUNTERS = ("prompt_tokens", "prefix_cache_queries", "prefix_cache_hits", "prompt_tokens_cached")


@dataclass(frozen=True)
class Cost:
    """Tokens over all calls of a conversation. `last` is the last prompt's length; `counted` is what vLLM's own
    counters grew by: tokens of prompts, looked up in the prefix cache, found there, not computed."""

    calls: int = 0
    prompt: int = 0
    cached: int = 0
    last: int = 0
    counted: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def recomputed(self) -> int:
        """Prompt tokens that the worker had to compute."""
        return self.prompt - self.cached

    def and_call(self, usage: Any) -> "Cost":
        """With one more call."""
        prompt, cached = usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens
        return replace(
            self, calls=self.calls + 1, prompt=self.prompt + prompt, cached=self.cached + cached, last=prompt
        )


@dataclass(frozen=True)
class Found:
    """One conversation. `off` and `on` by KV policy; `others` by placement, under the worker's own policy; `memories`
    are what the gateway put in at each turn, the same for all."""

    off: Mapping[str, Cost]
    on: Mapping[str, Cost]
    others: Mapping[str, Cost]
    memories: Sequence[str]

    def injected(self, policy: str) -> int:
        """Tokens of all memories together, each once: what the last prompt is longer by."""
        return self.on[policy].last - self.off[policy].last

    def ideal(self, policy: str) -> int:
        """No more than without memory, and each injected token once."""
        return self.off[policy].recomputed + self.injected(policy)


def nothing(prompt: list[Message], memories: Sequence[str]) -> list[Message]:
    """No memory."""
    return prompt


def system(prompt: list[Message], memories: Sequence[str]) -> list[Message]:
    """This turn's memory at the end of the system message."""
    first, *others = prompt
    return [{**first, "content": f"{first['content']}\n\n{memories[-1]}".rstrip()}, *others]


def ahead(prompt: list[Message], memories: Sequence[str]) -> list[Message]:
    """This turn's memory as a message of its own between system and history."""
    first, *others = prompt
    own = [{"role": "system", "content": memories[-1]}] if memories[-1] else []
    return [first, *own, *others]


def beside(prompt: list[Message], memories: Sequence[str]) -> list[Message]:
    """This turn's memory at the last user message; the next turn's prompt has it no more."""
    return replayed(prompt, [*[""] * (len(memories) - 1), memories[-1]])


def replayed(prompt: list[Message], memories: Sequence[str]) -> list[Message]:
    """Each turn's memory at its user message, ever after."""
    mine = iter(memories)
    return [{**each, "content": _joined(next(mine), each["content"])} if _asks(each) else each for each in prompt]


PLACES: Mapping[str, Place] = {
    "end of the system message": system,
    "own message before the history": ahead,
    "beside the last user text, this turn only": beside,
    "beside the last user text, replayed": replayed,
}


def measure(stack: Stack, talk: str) -> Found:
    """The conversation in every placement, one call after the other; each has its own users and its own salt."""
    turns = TALKS[talk]()
    off, on, memories = {}, {}, list[str]()
    for policy, model in POLICIES.items():
        name = f"{talk}, {policy}"
        asked = {"cache_salt": f"{name}, off", "vllm_xargs": {"kv_policy": policy}}
        off[policy] = _counted(stack, partial(_by_hand, stack, turns, nothing, (), asked))
        _remember(stack, name)
        traces: list[str] = []
        on[policy] = _counted(stack, partial(_by_gateway, stack, turns, name, model, traces))
        memories = [stack.admin(f"traces/{trace}", user=name)["injected"] for trace in traces]
    others = {
        name: _counted(stack, partial(_by_hand, stack, turns, place, memories, {"cache_salt": f"{talk}, {name}"}))
        for name, place in PLACES.items()
    }
    return Found(off, on, others, memories)


def _by_hand(stack: Stack, turns: list[Turn], place: Place, memories: Sequence[str], asked: Mapping[str, Any]) -> Cost:
    """Straight to the worker; `asked` is the rest of each body."""
    cost = Cost()
    with stack.direct() as client:
        for at, prompt, _ in _calls(turns):
            placed = place(prompt, memories[: at + 1])
            cost = cost.and_call(_ask(client, "tiny", placed, **asked).parse().usage)
    return cost


def _by_gateway(stack: Stack, turns: list[Turn], user: str, model: str, traces: list[str]) -> Cost:
    """Through the gateway, with memory on. `traces` takes the id of each turn's first answer."""
    cost = Cost()
    with stack.client(user) as client:
        for _, prompt, first in _calls(turns):
            answer = _ask(client, model, prompt, cache_salt=user, memory={"tokens": _BUDGET})
            assert "x-mneme-skipped" not in answer.headers, answer.headers["x-mneme-skipped"]
            cost = cost.and_call(answer.parse().usage)
            traces += [answer.headers["x-mneme-trace"]] if first else []
    return cost


def _calls(turns: list[Turn]) -> Iterator[tuple[int, list[Message], bool]]:
    """Every call of a conversation: its turn, its prompt without memory, and whether it is the turn's first."""
    prompt: list[Message] = [{"role": "system", "content": SYSTEM}]
    for at, turn in enumerate(turns):
        prompt.append({"role": "user", "content": turn.said})
        for message in turn.after:
            if message["role"] == "assistant":
                yield at, list(prompt), _asks(prompt[-1])
            prompt.append(message)


def _ask(client: OpenAI, model: str, messages: list[Any], **extra: Any) -> Any:
    """One token of an answer that nobody reads: the conversation's texts are fixed."""
    return client.chat.completions.with_raw_response.create(
        model=model, messages=messages, max_tokens=1, temperature=0, extra_body=extra
    )


def _remember(stack: Stack, user: str) -> None:
    """The user tells all facts, each in a conversation of its own."""
    with stack.client(user) as client:
        for fact in FACTS:
            _ask(client, "tiny", [{"role": "user", "content": fact}])
    stack.indexed()


def _counted(stack: Stack, replay: Callable[[], Cost]) -> Cost:
    """The cost, with what vLLM's own counters grew by; they are written after the answers have gone out."""
    before = _counters(stack)
    cost = replay()
    until(lambda: _counters(stack)[0] - before[0] >= cost.prompt, 5)
    grew = [after - earlier for after, earlier in zip(_counters(stack), before, strict=True)]
    return replace(cost, counted=(grew[0], grew[1], grew[2], grew[3]))


def _counters(stack: Stack) -> list[int]:
    return [int(stack.worker.metric(f"vllm:{name}_total")) for name in _COUNTERS]


def _joined(memory: str, said: str) -> str:
    return f"{memory}\n\n{said}" if memory else said


def _asks(message: Message) -> bool:
    return bool(message["role"] == "user")
