"""Everything that /openapi.json describes, asked with data that fits the description and with data that does not."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode, Response
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.prove.fuzz.found import Found, Part
from tests.prove.fuzz.line import blame
from tests.prove.fuzz.subject import BODY_LIMIT, PATIENCE, Subject

_CHECKS = [
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]
_LINES = "application/x-ndjson"
_MADE, _FORGOTTEN = "made", "bob"
"""The tenant that is given limits, which would hold back the cases, and the user who is forgotten again and again."""
_PIECES = 4
_REMEMBERED = 300


@dataclass(frozen=True)
class Call:
    """A request to one operation. `whose`: it is about the one user who talks. `known`: which of the ids and cursors
    that were told takes the place of what was drawn. `key` is who asks."""

    case: Case[Any]
    whose: bool
    known: int | None
    key: str | None


def described(subject: Subject) -> Part[Call]:
    """Each operation, valid and invalid, by an operator, by others and by nobody: answered as it is described."""
    _furnish(subject)
    schemathesis.serializer(_LINES)(_lines)
    schema = schemathesis.openapi.from_url(f"{subject.url}/openapi.json")
    operations = [operation for methods in schema.values() for operation in methods.values()]
    drawn = [each.as_strategy(generation_mode=GenerationMode.POSITIVE) for each in operations]
    # What takes nothing has no invalid data.
    drawn += [each.as_strategy(generation_mode=GenerationMode.NEGATIVE) for each in operations if _takes(each)]
    keys = (subject.admin, subject.admin, subject.admin, None, f"Bearer {subject.key}", "Bearer x", "Basic \xff")
    return Part("described", _calls(st.one_of(drawn), keys), partial(_call, subject))


def _furnish(subject: Subject) -> None:
    """Some things that exist, so that ids name something; of what is said here reflections are made."""
    headers = {"authorization": subject.admin} if subject.admin else {}
    for number in range(_PIECES):
        for path, body in (
            ("memories", {"text": f"Row {number} is ripe."}),
            ("watches", {"text": f"Tell me when row {number} is sold."}),
            ("keys", {"kind": "per-user"}),
        ):
            whose = {"tenant": subject.tenant, "user": "ada"}
            url = f"{subject.url}/admin/{path}"
            made = requests.post(url, params=whose, json=body, headers=headers, timeout=PATIENCE).json()
            subject.told.setdefault(f"{path} id", []).append(made["key"]["id"] if path == "keys" else made["id"])
        said = {"role": "user", "content": f"Row {number} stands by the wall."}
        chat: Any = {"model": "m", "user": "ada", "messages": [said], "memory": {"policy": "hema"}}
        bearer = {"authorization": f"Bearer {subject.key}"}
        requests.post(f"{subject.url}/v1/chat/completions", json=chat, headers=bearer, timeout=PATIENCE)


def _takes(operation: Any) -> bool:
    return str(operation.path).startswith("/admin")


@st.composite
def _calls(draw: st.DrawFn, cases: st.SearchStrategy[Case[Any]], keys: tuple[str | None, ...]) -> Call:
    return Call(draw(cases), draw(st.booleans()), draw(st.none() | st.integers(0, 1000)), draw(st.sampled_from(keys)))


def _call(subject: Subject, call: Call) -> None:
    case, sent = call.case, f"{call.case.method} {call.case.path}"
    _fill(subject, call)
    headers = {"authorization": call.key} if call.key else {}
    response = _answered(subject, case, headers)
    if response is None:
        return
    shown = f"{sent}\n{case.as_curl_command(headers=headers, base_url=subject.url)}"
    blame(shown, [response.status_code], response.content)
    try:
        case.validate_response(response, checks=_CHECKS)
    except FailureGroup as failures:
        faults = "; ".join(f"{failure.title}: {failure.message}" for failure in failures.exceptions)
        raise Found("other", f"{sent} {response.status_code} {faults[:400]}\n{shown}") from None
    for name, value in _worth(response.content) if call.whose else ():
        told = subject.told.setdefault(f"{_room(case)} {name}", [])
        told.append(value)
        del told[:-_REMEMBERED]


def _answered(subject: Subject, case: Case[Any], headers: dict[str, str]) -> Response | None:
    """None where the request never left, or its refusal may have been missed: whoever still sends when the rest is not
    waited for can find the connection reset."""
    try:
        return case.call(base_url=subject.url, headers=headers, timeout=PATIENCE)
    except requests.exceptions.InvalidHeader:
        return None
    except requests.exceptions.RequestException as gone:
        told = {} if gone.request is None else gone.request.headers
        if int(told.get("content-length") or 0) > BODY_LIMIT:
            return None
        shown = case.as_curl_command(headers=headers, base_url=subject.url)
        raise Found("other", f"{case.method} {case.path} got no answer: {gone}\n{shown}") from None


def _fill(subject: Subject, call: Call) -> None:
    """Put what exists in place of what was drawn: nearly nobody guesses an id."""
    case, operation = call.case, call.case.operation
    given = dict(case.query) if isinstance(case.query, dict) else {}
    if call.whose:
        takes = {parameter.name for parameter in operation.query}
        whose = {"tenant": subject.tenant, "user": "ada", "session": "talk"}
        given |= {name: value for name, value in whose.items() if name in takes}
        if operation.path.endswith("/forget"):
            given["user"] = _FORGOTTEN
    if operation.method == "put":
        given["tenant"] = _MADE
    if call.known is not None:
        if "{id}" in operation.path and (ids := subject.told.get(f"{_room(case)} id")):
            case.path_parameters = {"id": ids[call.known % len(ids)]}
        if "cursor" in given and (cursors := subject.told.get(f"{_room(case)} cursor")):
            given["cursor"] = cursors[call.known % len(cursors)]
        if operation.method == "patch":
            case.headers["if-match"] = "*"
    if given:
        case.query = given


def _room(case: Case[Any]) -> str:
    """What a path is about: memories, keys, …"""
    return str(case.operation.path).split("/")[2]


def _worth(body: bytes) -> Iterator[tuple[str, str]]:
    """The ids and cursors that an answer tells of, by name."""
    try:
        told = json.loads(body)
    except ValueError:
        return
    for card in _cards(told):
        yield from ((name, card[name]) for name in ("id", "cursor") if isinstance(card.get(name), str) and card[name])


def _cards(told: Any) -> Iterator[dict[str, Any]]:
    """The answer, if it is an object, and those that it lists or holds."""
    if isinstance(told, dict):
        yield told
        items = told["items"] if isinstance(told.get("items"), list) else [told.get("key")]
        yield from (item for item in items if isinstance(item, dict))


def _lines(_context: Any, value: Any) -> Any:
    """How a body of JSON Lines is sent: text as it is, anything else as a line."""
    return {"data": value.encode("utf-8", "surrogatepass") if isinstance(value, str) else json.dumps(value).encode()}
