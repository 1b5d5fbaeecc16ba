"""The tree of errors: drawn as it is, each with a status and a type."""

import re

import pytest

from gateway import errors
from gateway.errors import CallerError, MnemeError

CLASSES = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, MnemeError)]


def drawn() -> dict[str, tuple[str, int | None]]:
    """Each class in the module's drawing: its parent, and the status that stands beside it."""
    found: dict[str, tuple[str, int | None]] = {}
    above = ["MnemeError"]
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"^([│ ]*)[├└]── (\w+)(?:\s+(\d{3})\b)?", line):
            depth = len(match[1]) // 4 + 1
            above[depth:] = [match[2]]
            found[match[2]] = (above[depth - 1], int(match[3]) if match[3] else None)
    return found


def test_the_drawing_shows_exactly_the_classes_that_exist() -> None:
    """Each under its parent."""
    real = {c.__name__: c.__base__.__name__ for c in CLASSES if c is not MnemeError and c.__base__}

    assert {name: parent for name, (parent, _) in drawn().items()} == real


def test_the_drawing_shows_the_statuses_that_are_sent() -> None:
    """Where it names one."""
    shown = {name: status for name, (_, status) in drawn().items() if status}

    assert shown == {name: getattr(errors, name).status for name in shown}


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_has_a_status_a_type_and_a_docstring(kind: type[MnemeError]) -> None:
    """The caller's fault is 4xx, ours and the worker's 5xx."""
    assert (400 <= kind.status < 500) if issubclass(kind, CallerError) else (500 <= kind.status < 600)
    assert re.fullmatch(r"[a-z_]+", kind.type)
    assert kind.__doc__


def test_an_error_carries_its_message_and_parameter() -> None:
    """As an exception and as a body."""
    error = errors.BadRequest("Say more.", param="x")

    assert str(error) == error.message == "Say more."
    assert error.body()["error"]["param"] == "x"
