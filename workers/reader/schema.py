"""JSON that a schema allows, the simple way: strings are a given text, everything else is the least of its type. Pure.

Knows types, properties, items, enum, const, $ref inside the schema, any/one/allOf, default and the bounds of sizes;
not pattern, format, multipleOf or conditions. A recursive schema is cut off where it may end.
"""

import math
from collections.abc import Mapping
from typing import Any

from workers.reader.errors import Refusal

Schema = Mapping[str, Any]

_DEEPEST = 6  # levels at which what is optional is still filled
_ENDLESS = 24  # levels that only a schema without an end reaches
_LARGEST = 10_000  # values, and characters that a string must have, in all


def fill(schema: Any, text: str) -> Any:
    """A value for the schema in which every free string is `text`; Refusal if it would be endless or very large."""
    return _Filler(_schema(schema), text).value(schema, 0)


class _Filler:
    def __init__(self, root: Schema, text: str) -> None:
        self._root, self._text, self._left = root, text, _LARGEST

    def value(self, schema: Any, depth: int) -> Any:
        resolved = self._resolved(schema, depth)
        for word in ("const", "default"):
            if word in resolved:
                return resolved[word]
        if isinstance(resolved.get("enum"), list) and resolved["enum"]:
            return resolved["enum"][0]
        return self._of_type(_type(resolved), resolved, depth)

    def _of_type(self, kind: Any, schema: Schema, depth: int) -> Any:
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            fewest = _whole(schema.get("minItems"), 0)
            wanted = fewest if depth > _DEEPEST else max(fewest, min(1, _whole(schema.get("maxItems"), 1)))
            return [self.value(schema.get("items"), depth + 1) for _ in range(wanted)]
        if kind in ("integer", "number"):
            return _least(schema, kind)
        if kind in ("boolean", "null"):
            return False if kind == "boolean" else None
        shortest = _whole(schema.get("minLength"), 0)
        self._spend(shortest, depth)
        return self._text[: _whole(schema.get("maxLength"), len(self._text))].ljust(shortest)

    def _object(self, schema: Schema, depth: int) -> dict[str, Any]:
        properties, required = _schema(schema.get("properties")), schema.get("required")
        required = required if isinstance(required, list) else ()
        names = [name for name in properties if depth <= _DEEPEST or name in required]
        return {name: self.value(properties[name], depth + 1) for name in names}

    def _resolved(self, value: Any, depth: int) -> Schema:
        """The schema without references and with one of its alternatives chosen."""
        schema = _schema(value)
        self._spend(1, depth)
        if isinstance(schema.get("$ref"), str):
            return self._resolved({**self._named(schema["$ref"]), **_without(schema, "$ref")}, depth + 1)
        for word in ("anyOf", "oneOf"):
            if isinstance(schema.get(word), list) and schema[word]:
                return self._resolved({**self._choice(schema[word], depth), **_without(schema, word)}, depth + 1)
        if isinstance(schema.get("allOf"), list):
            return self._resolved(self._all(schema["allOf"], _without(schema, "allOf"), depth), depth + 1)
        return schema

    def _spend(self, size: int, depth: int) -> None:
        self._left -= size
        if self._left < 0 or depth > _ENDLESS:
            raise Refusal("The schema asks for a value that is endless or very large.")

    def _choice(self, options: list[Any], depth: int) -> Schema:
        """The first that is not null; deep down null, if that is allowed."""
        schemas: list[Schema] = [_schema(option) for option in options]
        return next((each for each in schemas if (each.get("type") == "null") == (depth > _DEEPEST)), schemas[0])

    def _all(self, parts: list[Any], rest: Schema, depth: int) -> Schema:
        """The parts as one schema: their properties together, else the last word counts."""
        merged: dict[str, Any] = {}
        for part in [*(self._resolved(part, depth + 1) for part in parts), rest]:
            together = {**_schema(merged.get("properties")), **_schema(part.get("properties"))}
            merged = {**merged, **part, **({"properties": together} if together else {})}
        return merged

    def _named(self, reference: str) -> Schema:
        found: Any = self._root
        for step in reference.lstrip("#/").split("/") if reference != "#" else []:
            found = found.get(step.replace("~1", "/").replace("~0", "~"), {}) if isinstance(found, dict) else {}
        return _schema(found)


def _type(schema: Schema) -> Any:
    kind = schema.get("type")
    if isinstance(kind, list):
        return next((each for each in kind if each != "null"), "null")
    return kind or ("object" if "properties" in schema else "array" if "items" in schema else "string")


def _least(schema: Schema, kind: str) -> int | float:
    """Zero, or what is nearest to it within the bounds; one away from a bound that is excluded."""
    low = max(_number(schema.get("minimum"), -math.inf), _number(schema.get("exclusiveMinimum"), -math.inf) + 1)
    high = min(_number(schema.get("maximum"), math.inf), _number(schema.get("exclusiveMaximum"), math.inf) - 1)
    nearest = max(low, min(high, 0))
    return nearest if kind == "number" else math.ceil(nearest) if nearest > 0 else math.floor(nearest)


def _schema(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _without(schema: Schema, word: str) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != word}


def _number(value: Any, otherwise: float) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value if number else otherwise


def _whole(value: Any, otherwise: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else otherwise
