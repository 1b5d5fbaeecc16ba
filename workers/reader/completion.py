"""A text completion from its body to its answer. Pure; never knows HTTP.

The prompt is read as one user message. Prompts of token ids are refused, because the reader has no vocabulary; `echo`,
`suffix` and `logprobs` are ignored.
"""

from typing import Any

from workers.reader import answer, options
from workers.reader.errors import Refusal, malformed
from workers.reader.prompt import Message
from workers.reader.reply import Choice, Reply
from workers.reader.writing import count, write

_DEFAULT_TOKENS = 16  # OpenAI's and vLLM's


def complete(body: bytes, window: int) -> Reply:
    """The answer to a body, `n` choices for each prompt; Refusal as for chat."""
    fields = options.parse(body)
    chosen = options.read(fields)
    prompts = _prompts(fields.get("prompt"))
    choices: list[Choice] = []
    for prompt in prompts:
        limit = options.room(window, count(prompt), chosen.max_tokens or _DEFAULT_TOKENS)
        written = write(answer.answer([Message("user", prompt)]), limit, chosen.stop, chosen.keep_stop)
        choices += [Choice(written, written.finish)] * chosen.n
    return Reply("text", chosen, sum(map(count, prompts)), tuple(choices))


def _prompts(value: Any) -> list[str]:
    prompts = [value] if isinstance(value, str) else value
    if not isinstance(prompts, list) or not prompts:
        raise malformed("`prompt` must be a string or a list of strings.", "prompt")
    if not all(isinstance(prompt, str) for prompt in prompts):
        raise Refusal("This worker has no vocabulary: `prompt` must be text, not token ids.", param="prompt")
    return prompts
