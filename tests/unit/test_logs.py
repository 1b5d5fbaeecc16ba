"""Log lines: what they say about a request and about an error, and what they leave out."""

import contextvars
import json
import logging
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from gateway.errors import MemoryUnavailable
from gateway.logs import STYLES, Json, Marks, marks, told
from tests.support.gateway import ROOT

SAID = "canary text"


def record(message: str = "it happened", **extra: Any) -> logging.LogRecord:
    """A line as a logger makes it."""
    return logging.getLogger("gateway.test").makeRecord(
        "gateway.test", logging.WARNING, "f", 1, message, (), None, extra=told(**extra) if extra else None
    )


def raised(fails: Callable[[], None]) -> logging.LogRecord:
    """A line with an exception."""
    try:
        fails()
    except Exception:  # noqa: BLE001  # whatever it is, it is what the line is about
        line = record()
        line.exc_info = sys.exc_info()
        return line
    raise AssertionError("it did not fail")


def inside(here: Marks, style: str, line: logging.LogRecord) -> str:
    """The line as it is written within a request."""

    def written() -> str:
        marks.set(here)
        return STYLES[style]().format(line)

    return contextvars.copy_context().run(written)


def foreign() -> None:
    """What is not ours may quote anything."""
    raise ValueError(SAID)


def ours() -> None:
    """Made of what was not ours."""
    try:
        foreign()
    except ValueError as failed:
        raise MemoryUnavailable("The store does not answer.") from failed


def grouped() -> None:
    """Several at once."""
    raise ExceptionGroup(SAID, [ValueError(SAID), OSError(28, "No space left on device", SAID)])


def test_a_line_in_json_names_its_request() -> None:
    """Request, trace and tenant, the words, and what the line tells beside them."""
    line = json.loads(inside(Marks("r1", "t1", "acme"), "json", record(status=200)))

    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "warning",
        "logger": "gateway.test",
        "event": "it happened",
        "request": "r1",
        "trace": "t1",
        "tenant": "acme",
        "status": 200,
    }


def test_a_line_in_text_names_its_request() -> None:
    """The same, as name=value."""
    line = inside(Marks("r1", "", "acme"), "text", record(status=200))

    assert line.endswith("WARNING gateway.test: it happened request=r1 tenant=acme status=200")


def test_outside_of_a_request_a_line_names_none() -> None:
    """The writer's lines, and those of the start."""
    assert set(json.loads(contextvars.Context().run(Json().format, record()))) == {"time", "level", "logger", "event"}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("fails", [foreign, ours, grouped])
def test_a_stack_never_tells_what_a_foreign_error_says(style: str, fails: Callable[[], None]) -> None:
    """Its kind and where it came from, through causes and groups; also where another handler formatted it before."""
    line = raised(fails)
    assert "canary" in logging.Formatter().format(line)

    written = STYLES[style]().format(line)

    assert "canary" not in written
    assert ("ValueError" in written, "test_logs.py" in written) == (True, True)


def test_a_stack_tells_what_our_own_errors_say() -> None:
    """They hold no text; and a system's error its reason."""
    assert "MemoryUnavailable: The store does not answer." in Json().format(raised(ours))
    assert "OSError: No space left on device" in Json().format(raised(grouped))


def test_json_is_one_line_whatever_is_in_it() -> None:
    """Line breaks and halves of characters are escaped."""
    line = Json().format(record("a\nb \ud83d", name_of="c\nd"))

    assert "\n" not in line
    assert json.loads(line)["event"] == "a\nb \ud83d"


def test_questions_of_our_own_have_no_line_each() -> None:
    """The client that asks them would tell every URL."""
    said = "logging.getLogger('httpx').info('GET'); logging.getLogger('ours').info('said')"
    code = f"import logging; from gateway import logs; logs.start(logging.INFO, 'text'); {said}"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert ended.stderr.split()[-2:] == ["ours:", "said"]
    assert "GET" not in ended.stderr
