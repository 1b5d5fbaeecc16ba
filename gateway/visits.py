"""Every request from outside, from its head to its last byte: its id, its span, its place among those in flight, and
its log line where these are wanted. Never touches a byte of it.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from secrets import token_hex
from time import perf_counter
from types import TracebackType
from typing import Self

from gateway import logs
from gateway.telemetry import Telemetry
from gateway.tracing import caller_trace

log = logging.getLogger(__name__)

_METHODS = frozenset(("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"))


@dataclass(frozen=True, slots=True)
class Visits:
    """`lines`: whether each visit is logged when it ends."""

    telemetry: Telemetry
    lines: bool

    def open(self, method: str, route: str, fields: Mapping[bytes, bytes]) -> "Visit":
        """One visit, for as long as its context is open. `fields` are the request's headers."""
        return Visit(self, method, route, fields)


class Visit(logs.Marks):
    """Whoever answers says in it who the `tenant` is, by which `route` (a template, from a closed set) it went, with
    which `status` it is answered (0 while it is not), and whether it is `whole`: its last byte is on its way.

    A context by hand: one made of a generator would cost more than all that it does.
    """

    __slots__ = ("_began", "_opening", "_span", "_visits", "method", "route", "status", "whole")

    def __init__(self, visits: Visits, method: str, route: str, fields: Mapping[bytes, bytes]) -> None:
        parent = fields.get(b"traceparent")
        super().__init__(token_hex(16), caller_trace(parent) if parent else "")
        self.method = method if method in _METHODS else "_OTHER"
        self.route, self.status, self.whole = route, 0, False
        self._visits = visits
        self._opening = visits.telemetry.tracer.request(self.method, fields)

    def __enter__(self) -> Self:
        self._began = perf_counter()
        logs.marks.set(self)  # the server gives every request a task of its own, so it ends with that
        telemetry = self._visits.telemetry
        telemetry.running += 1
        self._span = self._opening.__enter__()
        self.trace = telemetry.tracer.trace() or self.trace
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        telemetry = self._visits.telemetry
        telemetry.running -= 1
        if telemetry.tracer.keeps:
            self._note()
        self._opening.__exit__(kind, error, at)
        if self._visits.lines:
            self._tell()

    def _note(self) -> None:
        self._span.rename(f"{self.method} {self.route}")
        if self.status:
            self._span.ended(self.status)
        self._span.note(
            {
                "http.request.method": self.method,
                "http.route": self.route,
                "mneme.request.id": self.request,
                "mneme.tenant": self.tenant,
                "mneme.whole": self.whole,
            }
        )

    def _tell(self) -> None:
        took = round((perf_counter() - self._began) * 1000, 3)
        fields = {"method": self.method, "route": self.route, "status": self.status, "whole": self.whole, "ms": took}
        log.info("request", extra=logs.told(**fields))
