"""uvicorn, set up for a gateway: short keep-alive races, no access log, a bounded drain. Knows no route.

Rule: when it returns, every answer has ended or was cut by the drain's limit; closing the stores comes after it.
"""

import asyncio
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_HEAD_SECONDS = 30.0
_KEEP_ALIVE_SECONDS = 75


class PatientProtocol(HttpToolsProtocol):
    """uvicorn waits for ever for a request's head; this closes a connection that has not sent one in 30 s."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Start the clock with the connection."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(_HEAD_SECONDS, transport.close)

    def on_headers_complete(self) -> None:
        """The head is here."""
        if self._deadline is not None:
            self._deadline.cancel()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock with the connection."""
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[int], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready(self.servers[0].sockets[0].getsockname()[1])


def configure(app: Any, host: str, port: int, drain_seconds: float) -> uvicorn.Config:
    """How the gateway is served, here and in the tests."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=PatientProtocol,
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(drain_seconds),
    )


async def serve(app: Any, host: str, port: int, drain_seconds: float, ready: Callable[[int], None]) -> None:
    """Serve until SIGINT or SIGTERM, then let running answers end. `ready` is told the port once it listens."""
    # uvicorn raises the signal again once it has stopped; by default that would kill us before the stores are closed.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _already_stopping)
    await _Server(configure(app, host, port, drain_seconds), ready).serve()


def _already_stopping(_number: int, _frame: FrameType | None) -> None:
    """The stop is under way; it is bounded."""
