"""aiohttp's connection pool, made to tell two things that it keeps to itself: whether a connection had been used
before, and whether a byte of the answer came back. Never asks twice by itself. Knows no error of ours."""

import asyncio
from contextvars import ContextVar
from functools import partial
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler

# A TraceConfig would tell it too, at a price that every request pays (make bench shows it).
opened: ContextVar[bool] = ContextVar("opened", default=False)
"""Set when the running request gets a new connection of its own; whoever wants to know clears it before."""


class Disconnected(Exception):
    """The connection ended before an answer's head was whole; `heard`: some of the answer had come."""

    def __init__(self, heard: bool) -> None:
        super().__init__("the connection ended")
        self.heard = heard


def pool(keep_alive: float) -> aiohttp.TCPConnector:
    """Any number of connections, each kept for `keep_alive` idle seconds."""
    connector = _Pool(limit=0, keepalive_timeout=keep_alive, ttl_dns_cache=30)
    handlers: Any = partial(_Handler, loop=asyncio.get_running_loop())
    connector._factory = handlers
    return connector


async def only_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Middleware: aiohttp would repeat a GET, PUT or DELETE, also one that a new connection has carried."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as broke:
        raise Disconnected(getattr(broke, "heard", False)) from broke


class _Pool(aiohttp.TCPConnector):
    async def _create_connection(self, *asked: Any) -> ResponseHandler:
        opened.set(True)
        return await super()._create_connection(*asked)


class _Handler(ResponseHandler):
    heard = False

    def set_response_params(self, **params: Any) -> None:
        self.heard = False
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        self.heard = True
        super().data_received(data)

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        exc.heard = self.heard  # type: ignore[attr-defined]  # read in only_once
        super().set_exception(exc, *cause)
