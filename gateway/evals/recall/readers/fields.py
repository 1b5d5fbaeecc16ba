"""Fields out of JSON that a stranger wrote: each of the right type, or DatasetRefused with the place. Pure."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from gateway.evals.locomo import DatasetRefused

_NAMES: Mapping[type, str] = {list: "a list", dict: "an object", str: "a text"}


def listed(value: Any, place: str) -> list[Any]:
    """The value, which must be a list."""
    return _typed(value, list, place)  # type: ignore[no-any-return]


def mapped(value: Any, place: str) -> dict[str, Any]:
    """The value, which must be an object."""
    return _typed(value, dict, place)  # type: ignore[no-any-return]


def text(fields: Mapping[str, Any], key: str, place: str, *, empty: bool = False) -> str:
    """The field, which must be a text; with `empty` it may say nothing."""
    value = fields.get(key)
    if not isinstance(value, str) or not (empty or value.strip()):
        raise DatasetRefused(f"{place}: {key} must be a text" + ("" if empty else " that is not empty"))
    return value


def moment(told: str, form: str, place: str) -> float:
    """Seconds since the epoch of a date in `form` or ISO 8601; UTC where it names no zone."""
    try:
        at = datetime.strptime(told, form)
    except ValueError:
        try:
            at = datetime.fromisoformat(told)
        except ValueError:
            raise DatasetRefused(f"{place}: {told[:60]!r} is no date of the form {form} or ISO 8601") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def exchanges(messages: list[Any], place: str) -> Iterator[tuple[list[dict[str, Any]], str, str]]:
    """A session of messages as turns: (their messages, what the user said, the reply). A turn begins at every message
    of the user's; what an assistant says before that is a turn without a user's text."""
    held: list[dict[str, Any]] = []
    for i, item in enumerate(messages, 1):
        message = mapped(item, f"{place}, message {i}")
        role = text(message, "role", f"{place}, message {i}")
        text(message, "content", f"{place}, message {i}", empty=True)
        if role == "user" and held:
            yield held, _said(held, user=True), _said(held, user=False)
            held = []
        held.append(message)
    if held:
        yield held, _said(held, user=True), _said(held, user=False)


def _said(messages: list[dict[str, Any]], *, user: bool) -> str:
    return "\n".join(m["content"] for m in messages if (m["role"] == "user") is user)


def _typed(value: Any, kind: type, place: str) -> Any:
    if not isinstance(value, kind):
        raise DatasetRefused(f"{place}: must be {_NAMES[kind]}")
    return value
