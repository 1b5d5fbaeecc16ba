"""uvicorn, set up for a gateway: bounded heads, short keep-alive races, no access log, a bounded drain. Knows no route.

Rule: when it returns, every answer has ended or was cut by the drain's limit; closing the stores comes after it.
"""

import asyncio
import gc
import math
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.errors import BadRequest, BodyTimeout, HeadersTooLarge, MnemeError, SettingsRefused
from gateway.wire import envelope

_KEEP_ALIVE_SECONDS = 75
_LINGER_SECONDS = 2.0
_CUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class HeadLimits:
    """What a request's head may cost: seconds until it is whole, and bytes while it is not (give or take a read)."""

    seconds: float = 30.0
    size: int = 64 << 10


class PatientProtocol(HttpToolsProtocol):
    """uvicorn waits for ever for a request's head and reads any amount of it; this one refuses: 408, 431, 400."""

    def __init__(self, *args: Any, limits: HeadLimits, **options: Any) -> None:
        super().__init__(*args, **options)
        self._limits = limits
        self._clock: asyncio.TimerHandle | None = None
        self._cycles: list[Any] = []  # requests that are not answered yet, the first of which is being answered
        self._inside = False  # a head has begun and is not whole
        self._size = 0
        self._deaf = False

    def connection_made(self, transport: Any) -> None:
        """The first head is due."""
        super().connection_made(transport)
        self._start_clock()

    def data_received(self, data: bytes) -> None:
        """Count what belongs to a head; whatever comes between two requests starts the clock of the next head."""
        if self._deaf:
            return
        was_inside = self._inside
        super().data_received(data)
        if self._deaf:
            return
        if was_inside and self._inside:
            self._size += len(data)
            if self._size > self._limits.size:
                self._refuse(HeadersTooLarge(f"The request's head is larger than {self._limits.size} bytes."))
        elif self._clock is None and not self._answering():
            self._start_clock()

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._inside, self._size = True, 0
        if self._clock is None:
            self._start_clock()

    def on_headers_complete(self) -> None:
        """The head is here."""
        self._inside = False
        self._stop_clock()
        super().on_headers_complete()
        if self.cycle is not None:
            self._cycles = [*(cycle for cycle in self._cycles if not cycle.response_complete), self.cycle]

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock with the connection, and whoever is being answered: uvicorn tells only the last that asked."""
        self._stop_clock()
        for cycle in self._cycles:
            cycle.disconnected = cycle.disconnected or not cycle.response_complete
            cycle.message_event.set()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """uvicorn's answer to what is not HTTP, in OpenAI's words."""
        self._refuse(BadRequest(msg))

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _start_clock(self) -> None:
        self._clock = self.loop.call_later(self._limits.seconds, self._late)

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _late(self) -> None:
        if self._answering():  # the head of a pipelined request: it must not cost the answer before it
            self._start_clock()
        elif self._inside:
            self._refuse(BodyTimeout(f"The request's head did not arrive within {self._limits.seconds:g} s."))
        else:
            self.transport.close()

    def _refuse(self, error: MnemeError) -> None:
        self._deaf = True
        self._stop_clock()
        if self._answering():
            if self.pipeline or self.cycle.response_started:
                self.transport.close()
                return
            self.cycle.disconnected = True
            self.cycle.waiting_for_100_continue = False  # uvicorn would still write that, after the end
            self.cycle.message_event.set()
        status, body = envelope.render(error)
        self.transport.write(
            b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"
            % (status, HTTPStatus(status).phrase.encode(), len(body), body)
        )
        self.transport.write_eof()
        # Closing over unread bytes would reset the connection, and the client would never see why.
        self._clock = self.loop.call_later(_LINGER_SECONDS, self.transport.close)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[int], None], closing: asyncio.Event) -> None:
        super().__init__(config)
        self._ready = ready
        self._closing = closing

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready(self.servers[0].sockets[0].getsockname()[1])

    async def shutdown(self, sockets: Any = None) -> None:
        self._closing.set()
        await super().shutdown(sockets)
        # uvicorn does not wait for those that it cuts, nor, after a second Ctrl-C, cut them; they have turns to keep.
        cut = set(self.server_state.tasks)
        if self.force_exit:
            for task in cut:
                task.cancel()
        if cut:
            await asyncio.wait(cut, timeout=_CUT_SECONDS)


_DEFAULT_LIMITS = HeadLimits()


def configure(
    app: Any, host: str, port: int, drain_seconds: float, limits: HeadLimits = _DEFAULT_LIMITS
) -> uvicorn.Config:
    """How the gateway is served, here and in the tests."""
    protocol: Any = partial(PatientProtocol, limits=limits)
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=protocol,
        ws="none",
        lifespan="off",
        log_config=None,  # its lines take the way of all others, which tells no text
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,  # whoever asks is who is connected, whatever a header says
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=math.ceil(drain_seconds),
    )


async def serve(
    app: Any, host: str, port: int, drain_seconds: float, ready: Callable[[int], None], closing: asyncio.Event
) -> None:
    """Serve until SIGINT or SIGTERM, then set `closing` and let running answers end. `ready` is told the port once it
    listens. SettingsRefused when the address cannot be had."""
    await _probe(host, port)
    # uvicorn raises the signal again once it has stopped; by default that would kill us before the stores are closed.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _already_stopping)
    # What is there now stays: looking through all of it again and again cost requests up to 0.2 s.
    gc.collect()
    gc.freeze()
    await _Server(configure(app, host, port, drain_seconds), ready, closing).serve()


async def _probe(host: str, port: int) -> None:
    """uvicorn would log a number and end the process; the operator should read what to do."""
    try:
        probe = await asyncio.get_running_loop().create_server(asyncio.Protocol, host, port)
    except OSError as taken:
        reason = os.strerror(taken.errno) if taken.errno else taken
        raise SettingsRefused(f"Cannot listen on {host}:{port} ({reason}): set MNEME_HOST or MNEME_PORT.") from taken
    probe.close()
    await probe.wait_closed()


def _already_stopping(_number: int, _frame: FrameType | None) -> None:
    """The stop is under way; it is bounded."""
