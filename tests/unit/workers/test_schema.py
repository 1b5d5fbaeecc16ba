"""JSON that fits a schema."""

from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from workers.reader.errors import Refusal
from workers.reader.schema import fill

TEXT = "My sister Ada keeps bees in Riga."
KEYWORDS = (
    *("type", "properties", "items", "required", "enum", "anyOf", "allOf", "$ref"),
    *("minItems", "maxLength", "minimum", "exclusiveMaximum"),
)


class Colour(Enum):
    """Two colours."""

    RED = "red"
    BLUE = "blue"


class Place(BaseModel):
    """A nested model."""

    name: str
    colour: Colour


class Person(BaseModel):
    """Everything that the filler knows, in one model."""

    name: str
    short: Annotated[str, Field(max_length=5)]
    age: Annotated[int, Field(ge=18, lt=100)]
    height: Annotated[float, Field(gt=0.5)]
    debt: Annotated[int, Field(le=-3)]
    kind: Literal["person"]
    alive: bool
    home: Place
    homes: Annotated[list[Place], Field(min_length=2)]
    tags: list[str]
    partner: "Person | None"
    children: "list[Person]"
    anything: dict[str, int]
    either: int | str | None


def test_the_object_fits_the_schema() -> None:
    """A recursive model with nesting, bounds, choices and arrays accepts what was made for it."""
    person = Person.model_validate(fill(Person.model_json_schema(), TEXT))

    assert person.name == TEXT
    assert person.short == TEXT[:5]
    assert person.homes[1].colour is Colour.RED


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({}, TEXT),
        (True, TEXT),
        ({"type": "integer"}, 0),
        ({"type": "integer", "minimum": 6.5}, 7),
        ({"type": "integer", "exclusiveMaximum": -4}, -5),
        ({"type": "number", "minimum": 1.5}, 1.5),
        ({"type": ["null", "boolean"]}, False),
        ({"type": "null"}, None),
        ({"const": [1]}, [1]),
        ({"enum": ["b", "a"]}, "b"),
        ({"type": "string", "default": "d"}, "d"),
        ({"type": "string", "minLength": 40}, TEXT.ljust(40)),
        ({"items": {"type": "integer"}}, [0]),
        ({"type": "array", "maxItems": 0}, []),
        ({"anyOf": [{"type": "null"}, {"type": "integer"}]}, 0),
        (
            {"allOf": [{"properties": {"a": {"type": "null"}}}, {"properties": {"b": {"const": 1}}}]},
            {"a": None, "b": 1},
        ),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"const": 3}}}, 3),
    ],
)
def test_the_least_value_of_each_kind(schema: Any, value: Any) -> None:
    """Strings are the text, everything else is the least that is allowed."""
    assert fill(schema, TEXT) == value


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"type": "array", "minItems": 10**9},
        {"type": "string", "minLength": 10**9},
        {"properties": {"me": {"$ref": "#"}}, "required": ["me"]},
    ],
)
def test_an_endless_or_very_large_value_is_refused(schema: Any) -> None:
    """A schema cannot make the reader run for ever or fill the memory."""
    with pytest.raises(Refusal):
        fill(schema, TEXT)


def test_deep_down_a_wrong_list_of_required_members_is_none() -> None:
    """What is optional ends where it may, also if the schema does not say properly what is required."""
    schema = {"$ref": "#/$defs/a", "$defs": {"a": {"properties": {"a": {"$ref": "#/$defs/a"}}, "required": 5}}}

    assert "{}" in str(fill(schema, TEXT))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(KEYWORDS),
                inner | st.sampled_from(["object", "array", "string", "integer", "number", "#/items"]),
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_nonsense_gives_a_value_or_a_refusal(schema: Any) -> None:
    """A schema that is none never crashes the filler."""
    try:
        fill(schema, TEXT)
    except Refusal as refused:
        assert refused.status == 400
