"""A text completion's body to its answer."""

from typing import Any

import orjson
import pytest

from workers.reader.completion import complete
from workers.reader.errors import Refusal

ANSWER = "I quote:\n- Ada keeps bees."


def whole(**more: Any) -> Any:
    """The answer as one object."""
    return complete(orjson.dumps({"max_tokens": 100, **more}), 1000).whole("id", 0)


def test_a_prompt_is_answered() -> None:
    """The question at its end is answered from the rest."""
    assert whole(prompt="Ada keeps bees. Who keeps bees?")["choices"] == [
        {"index": 0, "text": ANSWER, "logprobs": None, "finish_reason": "stop", "stop_reason": None}
    ]


def test_every_prompt_has_its_choices() -> None:
    """Prompt after prompt, each with n choices, numbered through."""
    choices = whole(prompt=["Ada keeps bees. Who keeps bees?", "Who?"], n=2)["choices"]

    assert [(choice["index"], choice["text"] == ANSWER) for choice in choices] == [
        (0, True),
        (1, True),
        (2, False),
        (3, False),
    ]


def test_a_stream_spells_the_text() -> None:
    """The same text in pieces, then the reason."""
    reply = complete(b'{"prompt": "Ada keeps bees. Who keeps bees?", "stream": true, "max_tokens": 100}', 1000)
    stream = list(reply.chunks("id", 0))

    assert "".join(chunk["choices"][0]["text"] for chunk in stream) == ANSWER
    assert [chunk["choices"][0]["finish_reason"] for chunk in stream[-2:]] == [None, "stop"]


def test_sixteen_tokens_unless_asked() -> None:
    """The default of the interface."""
    reply = complete(orjson.dumps({"prompt": "The bees of Ada hum and hum and hum and hum and hum. Who hums?"}), 1000)

    assert (reply.choices[0].written.tokens, reply.choices[0].finish) == (16, "length")


@pytest.mark.parametrize("prompt", [None, [], 5, {}, [1, 2, 3], [[1, 2]], ["text", 1]])
def test_a_prompt_that_is_no_text_is_refused(prompt: Any) -> None:
    """Also token ids, because the reader has no vocabulary."""
    with pytest.raises(Refusal) as refused:
        whole(prompt=prompt)

    assert refused.value.status == 400
