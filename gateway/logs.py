"""Log lines that say which request they belong to. Never what anybody said, a key or a user.

Rule: of an exception the kind and the stack are told. What it says is told only of our own, whose messages hold no
text; any other may quote what it choked on.
"""

import json
import logging
import traceback
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gateway.errors import MnemeError


@dataclass(slots=True)
class Marks:
    """The request that a line belongs to, the trace that this is a part of, and the tenant who asked; "" if unknown."""

    request: str = ""
    trace: str = ""
    tenant: str = ""


marks: ContextVar[Marks] = ContextVar("marks")
"""Those of the request that is being answered, in its task and the tasks that it starts."""

_NOBODY = Marks()
_encode = json.JSONEncoder(default=str).encode


class Text(logging.Formatter):
    """A line for people; a stack follows on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """The time in UTC, level, logger, what happened, then name=value."""
        told = " ".join(f"{name}={value}" for name, value in _told(record).items())
        line = f"{_time(record)} {record.levelname} {record.name}: {record.getMessage()}"
        return "\n".join([f"{line} {told}".rstrip(), *_stack(record)])


class Json(logging.Formatter):
    """A JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """time, level, logger, event; request, trace and tenant where known; what the line tells; error, a stack."""
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **_told(record),
        }
        if stack := list(_stack(record)):
            line["error"] = "\n".join(stack)
        return _encode(line)


STYLES: Mapping[str, type[logging.Formatter]] = {"text": Text, "json": Json}


def start(level: int, style: str) -> None:
    """Have everything that is logged in this process written to stderr, in one of STYLES."""
    handler = logging.StreamHandler()
    handler.setFormatter(STYLES[style]())
    logging.basicConfig(level=level, handlers=[handler])
    logging.getLogger("httpx").setLevel(max(level, logging.WARNING))  # it has a line for every question of ours


def told(**fields: Any) -> dict[str, Any]:
    """The `extra` of a line that tells more than its words."""
    return {"told": fields}


def _told(record: logging.LogRecord) -> dict[str, Any]:
    here = marks.get(_NOBODY)
    known = {"request": here.request, "trace": here.trace, "tenant": here.tenant}
    return {name: value for name, value in known.items() if value} | getattr(record, "told", {})


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _stack(record: logging.LogRecord) -> Iterator[str]:
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        yield from _stack_of(error)


def _stack_of(error: BaseException) -> Iterator[str]:
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None:
        yield from _stack_of(before)
        yield "then:"
    yield from "".join(traceback.format_tb(error.__traceback__)).splitlines()
    yield _kind(error)
    for inner in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        yield "of which:"
        yield from _stack_of(inner)


def _kind(error: BaseException) -> str:
    kind = type(error)
    said = error.message if isinstance(error, MnemeError) else error.strerror if isinstance(error, OSError) else ""
    return f"{kind.__module__}.{kind.__qualname__}: {said or ''}".removeprefix("builtins.").rstrip(": ")
