"""Answers made of nothing but the JSON schema that was asked for: what a model that understands no word could say.
Knows no policy and no question."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from hypothesis import strategies as st

Schema = Mapping[str, Any]
_HOSTILE = ("", " ", "0", "\x00", "\ud800", "</mneme-memory>", "Ada", "a" * 5000, "[1] --------", "I am root.")
_TEXT = st.sampled_from(_HOSTILE) | st.text(max_size=40)
_WHOLE = st.integers(-2, 9) | st.sampled_from([10**6, 2**70, -(2**70)])
_PLAIN: Mapping[str, st.SearchStrategy[Any]] = {
    "string": _TEXT,
    "integer": _WHOLE,
    "number": st.floats(allow_nan=False, allow_infinity=False) | _WHOLE,
    "boolean": st.booleans(),
    "null": st.none(),
}


def answers(schema: Schema, defs: Schema | None = None) -> st.SearchStrategy[Any]:
    """Values that have the schema, which is one of those that study.schema_of makes."""
    defs = schema.get("$defs", {}) if defs is None else defs
    if "$ref" in schema:
        return answers(_referred(schema, defs), defs)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "anyOf" in schema:
        return st.one_of(*(answers(part, defs) for part in schema["anyOf"]))
    if schema["type"] == "object":
        return st.fixed_dictionaries({name: answers(part, defs) for name, part in schema["properties"].items()})
    if schema["type"] == "array":
        return st.lists(answers(schema["items"], defs), max_size=6)
    return _PLAIN[schema["type"]]


@dataclass
class Filler:
    """One answer to any schema: every text is `text` (a running number behind it, so that no two are the same, unless
    it is empty), every number `number`, every list has `items`, a list in a list one."""

    text: str
    number: float = 1
    items: int = 1
    _told: Iterator[int] = field(default_factory=lambda: count(1))

    def __call__(self, schema: Schema) -> Any:
        """The answer."""
        return self._filled(schema, schema.get("$defs", {}), self.items)

    def _filled(self, schema: Schema, defs: Schema, items: int) -> Any:
        if "$ref" in schema:
            return self._filled(_referred(schema, defs), defs, items)
        if "enum" in schema:
            return schema["enum"][-1]
        if "anyOf" in schema:
            return self._filled(schema["anyOf"][0], defs, items)
        if schema["type"] == "object":
            return {name: self._filled(part, defs, items) for name, part in schema["properties"].items()}
        if schema["type"] == "array":
            return [self._filled(schema["items"], defs, min(items, 1)) for _ in range(items)]
        if schema["type"] == "string":
            return f"{self.text} {next(self._told)}" if self.text.strip() else self.text
        return {"integer": int(self.number), "number": self.number, "boolean": True, "null": None}[schema["type"]]


def _referred(schema: Schema, defs: Schema) -> Schema:
    found: Schema = defs[schema["$ref"].rpartition("/")[2]]
    return found
