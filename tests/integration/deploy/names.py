"""A name server with one name, for a balancer that asks for addresses. Knows no more of DNS than that."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

_ANSWERS, _IPV4, _ALIVE_SECONDS = 0x8180, 1, 1


class _Names(asyncio.DatagramProtocol):
    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]  # for UDP it is one
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Whatever the name is, it has these addresses."""
        end = data.index(b"\0", 12) + 5
        kind = struct.unpack("!H", data[end - 4 : end - 2])[0]
        known = self._addresses if kind == _IPV4 else ()
        head = data[:2] + struct.pack("!5H", _ANSWERS, 1, len(known), 0, 0)
        record = struct.pack("!HHHIH", 0xC00C, _IPV4, 1, _ALIVE_SECONDS, 4)
        self._transport.sendto(head + data[12:end] + b"".join(record + socket.inet_aton(a) for a in known), addr)


@asynccontextmanager
async def name_server(addresses: Sequence[str]) -> AsyncIterator[str]:
    """Where it listens, as host:port."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Names(addresses), local_addr=("127.0.0.1", 0))
    try:
        yield "{}:{}".format(*transport.get_extra_info("sockname"))
    finally:
        transport.close()
