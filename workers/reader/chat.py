"""A chat completion from its body to its answer, all at once: there is no model to wait for. Pure; never knows HTTP.

`tool_choice: "required"` or a named function makes it call a tool with arguments that the schema allows; otherwise
tools are ignored. `response_format` is honoured. `echo`, `logprobs` and everything about sampling are not.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from workers.reader import answer, options, schema
from workers.reader.errors import Refusal, malformed
from workers.reader.prompt import Message, messages, render
from workers.reader.reply import Choice, Reply
from workers.reader.writing import count, write


def complete(body: bytes, window: int) -> Reply:
    """The answer to a body; Refusal if it is not one, or if prompt and answer do not fit into `window` tokens."""
    fields = options.parse(body)
    chosen = options.read(fields)
    conversation = messages(fields.get("messages"))
    prompt = render(conversation, go_on=options.typed(fields, "continue_final_message", bool, False))
    tokens = count(prompt)
    limit = options.room(window, tokens, chosen.max_tokens)
    function = _function(fields)
    wanted = _parameters(function) if function else _shape(fields)
    text = answer.answer(conversation) if wanted is None else _json(wanted, conversation)
    written = write(text, limit, chosen.stop, chosen.keep_stop)
    # As in vLLM: the call of a named function ends with "stop", that of a required one with "tool_calls".
    called = fields.get("tool_choice") == "required" and written.finish == "stop"
    choice = Choice(written, "tool_calls" if called else written.finish, function["name"] if function else None)
    shown = prompt if options.typed(fields, "return_prompt_text", bool, False) else None
    return Reply("chat", chosen, tokens, (choice,) * chosen.n, shown)


def _json(wanted: schema.Schema, conversation: Sequence[Message]) -> str:
    """JSON of that shape in which every free string is the best sentence, or says that there is none."""
    quotes = answer.best(conversation)
    return orjson.dumps(schema.fill(wanted, quotes[0].text if quotes else answer.NOTHING)).decode()


def _function(fields: Mapping[str, Any]) -> dict[str, Any] | None:
    """The function that has to be called, if one has to be."""
    choice = fields.get("tool_choice")
    if choice in (None, "auto", "none"):
        return None
    functions = [_declared(tool) for tool in options.typed(fields, "tools", list, [])]
    if not functions:
        raise Refusal("When using `tool_choice`, `tools` must be set.", param="tool_choice")
    if choice == "required":
        return functions[0]
    named = choice.get("function") if isinstance(choice, dict) else None
    name = named.get("name") if isinstance(named, dict) else None
    for function in functions:
        if function["name"] == name:
            return function
    raise Refusal("`tool_choice` names no function among `tools`.", param="tool_choice")


def _declared(tool: Any) -> dict[str, Any]:
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise malformed("`tools` must hold functions with a name.", "tools")
    return function


def _parameters(function: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"type": "object", **options.typed(function, "parameters", dict, {})}


def _shape(fields: Mapping[str, Any]) -> schema.Schema | None:
    """The schema that the answer must have; None for plain text."""
    wanted = options.typed(fields, "response_format", dict, {})
    if wanted.get("type") == "json_object":
        return {"type": "object", "properties": {"answer": {"type": "string"}}}
    if wanted.get("type") != "json_schema":
        return None
    named = wanted.get("json_schema")
    if not isinstance(named, dict) or not isinstance(named.get("schema"), dict):
        raise malformed("`response_format.json_schema` must hold a `schema`.", "response_format")
    shape: schema.Schema = named["schema"]
    return shape
