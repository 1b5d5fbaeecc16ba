"""A worker in OpenAI's shapes over the scripted upstream: answers at once, remembers every prompt, knows nothing.

What it does is chosen by the request: its model (`error-429` fails so), its tools, its response_format, its path.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.support.upstream import JSON, SSE, Received, Reply, Upstream

MODEL = "scripted"
SMALL = "scripted-small"
WINDOW = 4000
"""What a prompt may hold, in tokens: nobody knows for MODEL, and SMALL says this."""
Reader = Callable[[dict[str, Any]], str]
_ERRORS = {400: "BadRequestError", 404: "NotFoundError", 422: "UnprocessableEntityError", 429: "RateLimitError"}


SHAPED = '{"name": "Ada", "hives": 3}'


def understood(body: dict[str, Any]) -> str:
    """A reply that tells how long the prompt was."""
    return f"Understood, that was message {len(body['messages'])}."


@dataclass
class Worker:
    """`upstream` is the socket; `says` gives the reply to a chat body, `fills` to one that wants JSON of a shape;
    `pause` seconds pass between the pieces of a stream."""

    upstream: Upstream
    says: Reader = understood
    fills: Reader = lambda body: SHAPED
    pause: float = 0.0

    def __post_init__(self) -> None:
        self.upstream.answering = self.answer
        model = {"id": MODEL, "object": "model", "created": 1, "owned_by": "vllm"}
        small = {**model, "id": SMALL, "max_model_len": WINDOW}
        self.upstream.models = Reply(chunks=(_json({"object": "list", "data": [model, small]}),))

    @property
    def url(self) -> str:
        """Its base URL, with /v1."""
        return self.upstream.url

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """The chat bodies that arrived, parsed."""
        return [json.loads(r.body) for r in self.upstream.received if r.target == b"/v1/chat/completions"]

    @property
    def prompts(self) -> list[str]:
        """The chat prompts that arrived, each as one flat text."""
        return [flat(body["messages"]) for body in self.bodies]

    def answer(self, received: Received) -> Reply:
        """One request's answer."""
        body = json.loads(received.body or b"{}")
        model = str(body.get("model", MODEL))
        if model.startswith("error-"):
            return _error(int(model.removeprefix("error-")))
        kind = received.target.partition(b"?")[0]
        if kind == b"/v1/chat/completions":
            message = self._message(body)
            return _stream(message, body, self.pause) if body.get("stream") else _whole(message, body)
        if kind in _OTHERS:
            return Reply(chunks=(_json(_OTHERS[kind]),))
        return Reply(404, chunks=(b'{"detail":"Not Found"}',))

    def _message(self, body: dict[str, Any]) -> dict[str, Any]:
        last = body["messages"][-1]
        if body.get("tools") and last["role"] == "user":
            name = body["tools"][0]["function"]["name"]
            call = {"id": f"call_{len(body['messages'])}", "type": "function"}
            return {
                "content": None,
                "tool_calls": [call | {"function": {"name": name, "arguments": '{"city": "Riga"}'}}],
            }
        if body.get("response_format"):
            return {"content": self.fills(body)}
        return {"content": self.says(body)}


def flat(messages: list[dict[str, Any]]) -> str:
    """The messages as a chat template would render them: each begins with its role and ends where it ends, so that a
    prompt that grew is a longer text with the same beginning."""
    return "".join(f"<|{m['role']}|>{_said(m)}<|end|>" for m in messages)


def _said(message: dict[str, Any]) -> str:
    content = message.get("content")
    parts = content if isinstance(content, list) else [{"text": content or ""}]
    calls = json.dumps(message["tool_calls"], sort_keys=True) if message.get("tool_calls") else ""
    return "\n\n".join(part.get("text", "") for part in parts) + calls


def _whole(message: dict[str, Any], body: dict[str, Any]) -> Reply:
    finish = "tool_calls" if message.get("tool_calls") else "stop"
    choices = [
        {"index": i, "message": {"role": "assistant", **message}, "logprobs": None, "finish_reason": finish}
        for i in range(body.get("n") or 1)
    ]
    usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
    return Reply(chunks=(_json({**_head("chat.completion"), "choices": choices, "usage": usage}),))


def _stream(message: dict[str, Any], body: dict[str, Any], pause: float) -> Reply:
    finish = "tool_calls" if message.get("tool_calls") else "stop"
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}, *_pieces(message)]
    events: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
    ]
    events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    if (body.get("stream_options") or {}).get("include_usage"):
        usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
        events.append({"choices": [], "usage": usage})
    head = _head("chat.completion.chunk")
    chunks = [b"data: " + _json({**head, **event}) + b"\n\n" for event in events]
    return Reply(headers=SSE, chunks=(*chunks, b"data: [DONE]\n\n"), chunked=True, pause=pause)


def _pieces(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for piece in re.findall(r"\S+|\s+", message.get("content") or ""):
        yield {"content": piece}
    for index, call in enumerate(message.get("tool_calls") or ()):
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        yield {"tool_calls": [{**call, "index": index, "function": {"name": name, "arguments": ""}}]}
        for at in range(0, len(arguments), 5):
            yield {"tool_calls": [{"index": index, "function": {"arguments": arguments[at : at + 5]}}]}


def _head(kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1_760_000_000, "model": MODEL}


def _error(status: int) -> Reply:
    body = {
        "message": f"The worker says {status}.",
        "type": _ERRORS.get(status, "Error"),
        "param": None,
        "code": status,
    }
    return Reply(status, JSON, (_json({"error": body}),))


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


_OTHERS: dict[bytes, dict[str, Any]] = {
    b"/v1/embeddings": {
        "object": "list",
        "model": MODEL,
        "data": [{"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}],
        "usage": {"prompt_tokens": 1, "total_tokens": 1},
    },
    b"/v1/completions": {
        **_head("text_completion"),
        "choices": [{"index": 0, "text": " in Riga.", "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4},
    },
    b"/v1/responses": {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_760_000_000,
        "status": "completed",
        "model": MODEL,
        "output": [
            {
                "type": "message",
                "id": "msg_1",
                "status": "completed",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "Hello.", "annotations": []}],
            }
        ],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    },
}
