"""Where the worker is: a base URL taken apart, and new connections to it. Knows no request."""

import asyncio
import base64
import ipaddress
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, unquote_to_bytes, urlsplit

from gateway.errors import SettingsRefused, UpstreamUnreachable
from gateway.upstream.line import Line

_PORTS = {"http": 80, "https": 443}
# RFC 8305 (happy eyeballs): how long an address may keep the next one waiting. asyncio has it, uvloop does not.
_HEAD_START = 0.25


@dataclass(frozen=True, slots=True)
class Origin:
    """`root` is the path that every target begins with; `headers` are lines that every request to it has: its name, and
    who we are. `tls` is None for plain HTTP, `at` the one address to connect to ("" for all that the host has)."""

    host: str
    port: int
    root: bytes
    headers: tuple[bytes, ...]
    tls: ssl.SSLContext | None
    at: str = ""

    @classmethod
    def read(cls, base_url: str, key: str, at: str = "") -> "Origin":
        """A URL such as http://127.0.0.1:8000/v1, and the bearer key that the worker wants, if any; without one, a user
        in the URL is told by basic authentication. SettingsRefused when it cannot be used. Trusts whom the system
        trusts, or SSL_CERT_FILE and SSL_CERT_DIR."""
        url, host, port = _taken_apart(base_url)
        headers = [b"host: " + _spelled(host, url.port)]
        if key:
            headers.append(b"authorization: Bearer " + key.encode())
        elif url.username is not None:
            pair = unquote_to_bytes(url.username) + b":" + unquote_to_bytes(url.password or "")
            headers.append(b"authorization: Basic " + base64.b64encode(pair))
        if any(byte < 32 or byte == 127 for line in headers for byte in line):
            raise SettingsRefused("The upstream's key holds a line break or another control character.")
        root = quote(url.path.rstrip("/"), safe="/%:@!$&'()*+,;=~").encode()
        tls = ssl.create_default_context() if url.scheme == "https" else None
        return cls(host, port, root, tuple(headers), tls, at)

    @property
    def site(self) -> bytes:
        """The path of what stands beside a /v1."""
        return self.root.removesuffix(b"/v1")

    async def connect(self, line: Callable[[], Line], seconds: float) -> Line:
        """A new connection, ready to be asked. UpstreamUnreachable says why there is none after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                return await self._first(line, await self._addresses())
        except TimeoutError as late:
            raise UpstreamUnreachable(f"Connecting to the worker took over {seconds:g} s.") from late
        except ssl.SSLCertVerificationError as untrusted:
            message = f"The worker's certificate is not trusted: {untrusted.verify_message or untrusted}"
            raise UpstreamUnreachable(f"{message.rstrip('.')}.") from untrusted
        except ssl.SSLError as broke:
            raise UpstreamUnreachable("The worker does not speak TLS as we do; is its URL http://?") from broke
        except OSError as refused:
            raise UpstreamUnreachable("The worker cannot be reached.") from refused

    async def _addresses(self) -> list[str]:
        """Both families in turn, in the order that the system prefers."""
        try:
            return [str(ipaddress.ip_address(self.at or self.host))]
        except ValueError:
            found = await asyncio.get_running_loop().getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        first = [address[0] for family, _, _, _, address in found if family == found[0][0]]
        other = [address[0] for family, _, _, _, address in found if family != found[0][0]]
        longer = max(len(first), len(other))
        return [str(pair[i]) for i in range(longer) for pair in (first, other) if i < len(pair)]

    async def _first(self, line: Callable[[], Line], addresses: list[str]) -> Line:
        """The first to connect; each gets a head start on the next. The last failure, when all fail."""
        if len(addresses) == 1:
            return await self._one(line, addresses[0])
        trying: set[asyncio.Task[Line]] = set()
        waiting, failure = list(addresses), OSError("it has no address")
        try:
            while waiting or trying:
                if waiting:
                    trying.add(asyncio.create_task(self._one(line, waiting.pop(0))))
                pause = _HEAD_START if waiting else None
                done, _ = await asyncio.wait(trying, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    trying.discard(task)
                    if (error := task.exception()) is None:
                        return task.result()
                    if not isinstance(error, OSError):
                        raise error
                    failure = error
            raise failure
        finally:
            await _dropped(trying)

    async def _one(self, line: Callable[[], Line], address: str) -> Line:
        loop, name = asyncio.get_running_loop(), self.host if self.tls else None
        _, connected = await loop.create_connection(line, address, self.port, ssl=self.tls, server_hostname=name)
        return connected


async def _dropped(trying: set[asyncio.Task[Line]]) -> None:
    for task in trying:
        task.cancel()
    for late in await asyncio.gather(*trying, return_exceptions=True):
        if isinstance(late, Line):
            late.abort()


def _taken_apart(base_url: str) -> tuple[SplitResult, str, int]:
    try:
        url = urlsplit(base_url)
        port = url.port
        host = (url.hostname or "").encode("idna").decode()
    except ValueError as wrong:
        raise SettingsRefused(f"The upstream's URL cannot be read: {wrong}.") from None
    if url.scheme not in _PORTS or not host:
        raise SettingsRefused("The upstream's URL must look like http://host:port/v1.")
    if url.query or url.fragment:
        raise SettingsRefused("The upstream's URL must have no query and no fragment; paths are appended to it.")
    return url, host, port or _PORTS[url.scheme]


def _spelled(host: str, port: int | None) -> bytes:
    """As the Host header wants it."""
    name = f"[{host}]" if ":" in host else host
    return (f"{name}:{port}" if port else name).encode()
