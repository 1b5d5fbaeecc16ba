"""Base URLs, and how one gets to them: several addresses, both families, TLS, and refusals that say why."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trustme

from gateway.errors import SettingsRefused, UpstreamBroke, UpstreamUnreachable
from gateway.upstream.client import Patience, Upstream
from gateway.upstream.line import Line
from gateway.upstream.origin import Origin
from tests.support.puppet import OK, puppet_worker, read_head

PATIENT = Patience(connect=5.0, first_byte=10.0, idle=10.0)
AUTHORITY = trustme.CA()
PAPERS = AUTHORITY.issue_cert("localhost", "127.0.0.1", "::1")
LINE = partial(Line, 5.0, 5.0)


@asynccontextmanager
async def server(host: str = "127.0.0.1", *, tls: bool = False, answer: bytes = OK) -> AsyncIterator[int]:
    """Answers one request per connection and closes it; the port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) if tls else None
    if context is not None:
        PAPERS.configure_cert(context)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await read_head(reader)
            writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, host, 0, ssl=context)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()


async def fetched(base_url: str) -> bytes:
    """What the worker there says."""
    async with Upstream(base_url, "", PATIENT) as client, client.send("GET", "/x", [], b"") as answer:
        return await answer.whole()


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The test's own authority is one of the system's."""
    AUTHORITY.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
async def test_a_worker_is_reached_by_address_and_by_name(host: str) -> None:
    """IPv4, IPv6, and a name that may be both."""
    async with server(host.strip("[]")) as port:
        assert await fetched(f"http://{host}:{port}/v1") == b"{}"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_certificate_of_a_known_authority_is_accepted(trusted: None, host: str) -> None:
    """Also one that SSL_CERT_FILE names."""
    async with server(tls=True) as port:
        assert await fetched(f"https://{host}:{port}/v1") == b"{}"


async def test_an_answer_until_the_end_of_tls_is_whole(trusted: None) -> None:
    """An answer without a length, over TLS."""
    async with server(tls=True, answer=b"HTTP/1.0 200 OK\r\n\r\nall of it") as port:
        assert await fetched(f"https://localhost:{port}/v1") == b"all of it"


async def test_a_large_answer_passes_tls(trusted: None) -> None:
    """More than is held at once."""
    large = b"HTTP/1.1 200 OK\r\ncontent-length: 3000000\r\n\r\n" + b"x" * 3_000_000
    async with server(tls=True, answer=large) as port:
        assert len(await fetched(f"https://localhost:{port}/v1")) == 3_000_000


async def test_an_unknown_certificate_is_named() -> None:
    """The operator reads what is wrong, not that something is."""
    async with server(tls=True) as port:
        with pytest.raises(UpstreamUnreachable, match="certificate is not trusted: unable to get local issuer"):
            await fetched(f"https://localhost:{port}/v1")


async def test_a_certificate_of_another_name_is_refused(trusted: None) -> None:
    """127.0.0.2 is this machine too, and not in the certificate."""
    async with server("127.0.0.2", tls=True) as port:
        with pytest.raises(UpstreamUnreachable, match="certificate is not trusted: IP address mismatch"):
            await fetched(f"https://127.0.0.2:{port}/v1")


async def test_a_replica_behind_a_name_needs_the_name_s_certificate(trusted: None) -> None:
    """It is connected to by its address, which the certificate does not have."""
    async with (
        server("127.0.0.2", tls=True) as port,
        Upstream(f"https://localhost:{port}/v1", "", PATIENT, "127.0.0.2") as client,
        client.send("GET", "/x", [], b"") as answer,
    ):
        assert await answer.whole() == b"{}"


async def test_https_to_a_plain_port_is_named() -> None:
    """The most common mistake in a base URL."""

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1 << 16)
        writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        await reader.read()

    async with puppet_worker() as puppet:
        await puppet.play(plain)
        with pytest.raises(UpstreamUnreachable, match="does not speak TLS"):
            await fetched(puppet.url.replace("http:", "https:"))


async def test_http_to_a_tls_port_is_no_answer() -> None:
    """And the other one."""
    async with server(tls=True) as port:
        with pytest.raises(UpstreamBroke):
            await fetched(f"http://127.0.0.1:{port}/v1")


async def test_a_name_that_nobody_has_is_unreachable() -> None:
    """The resolver's errors have our name."""
    with pytest.raises(UpstreamUnreachable):
        await fetched("http://nobody.invalid/v1")


class _Known(Origin):
    """An origin whose name is known to have these addresses."""

    async def _addresses(self) -> list[str]:
        return self.host.split("+")


async def test_an_address_that_does_not_answer_holds_up_only_for_a_moment() -> None:
    """The second one is tried while the first one is still silent."""
    async with server() as port:
        with socket.socket() as full:
            full.bind(("127.0.0.2", port))
            full.listen(0)
            stuffing = [socket.socket() for _ in range(8)]
            for one in stuffing:
                one.setblocking(False)
                one.connect_ex(("127.0.0.2", port))
            origin = _Known("127.0.0.2+127.0.0.1", port, b"", (), None)
            line = await origin.connect(LINE, 20.0)
            for one in stuffing:
                one.close()

        assert line.open
        line.abort()


async def test_an_address_that_refuses_holds_up_nobody() -> None:
    """The next one is tried at once."""
    async with server() as port:
        line = await _Known("127.0.0.3+127.0.0.4+127.0.0.1", port, b"", (), None).connect(LINE, 20.0)

        assert line.open
        line.abort()


async def test_when_every_address_refuses_the_worker_is_unreachable() -> None:
    """And no attempt is left behind."""
    async with server() as port:
        with pytest.raises(UpstreamUnreachable, match="cannot be reached"):
            await _Known("127.0.0.3+127.0.0.4", port, b"", (), None).connect(LINE, 20.0)


@pytest.mark.parametrize(
    ("base_url", "root", "name"),
    [
        ("http://127.0.0.1:8000/v1", b"/v1", b"host: 127.0.0.1:8000"),
        ("http://h/v1/", b"/v1", b"host: h"),
        ("https://H.example:443", b"", b"host: h.example:443"),
        ("http://[::1]:8000/a%2Fb/v1", b"/a%2Fb/v1", b"host: [::1]:8000"),
        ("http://my_worker:1/é v", b"/%C3%A9%20v", b"host: my_worker:1"),
        ("http://bücher.example/v1", b"/v1", b"host: xn--bcher-kva.example"),
    ],
)
def test_a_base_url_is_taken_apart(base_url: str, root: bytes, name: bytes) -> None:
    """The path that all targets begin with, and the name that the worker is called by."""
    origin = Origin.read(base_url, "")

    assert (origin.root, origin.headers) == (root, (name,))


def test_a_user_in_the_url_is_told_by_basic_authentication() -> None:
    """As browsers and curl do; percent signs are undone first."""
    assert Origin.read("http://ada:p%40ss@h/v1", "").headers == (b"host: h", b"authorization: Basic YWRhOnBAc3M=")


def test_a_key_goes_before_a_user_in_the_url() -> None:
    """There is one authorization, and the key was given on purpose."""
    assert Origin.read("http://ada:pass@h/v1", "k").headers == (b"host: h", b"authorization: Bearer k")


@pytest.mark.parametrize(
    ("base_url", "key"),
    [
        ("http://", ""),
        ("http:///v1", ""),
        ("ftp://h/v1", ""),
        ("http://h:99999/v1", ""),
        ("http://h:x/v1", ""),
        ("http://[::1/v1", ""),
        ("http://a..b/v1", ""),
        ("http://h/v1?api-version=1", ""),
        ("http://h/v1#x", ""),
        ("http://h/v1", "key\n"),
        ("http://h/v1", "key\r\nx: y"),
    ],
)
def test_a_base_url_or_key_that_cannot_work_refuses_to_start(base_url: str, key: str) -> None:
    """At start, where the operator sees it, and not at every request."""
    with pytest.raises(SettingsRefused):
        Upstream(base_url, key, PATIENT)


async def test_a_root_without_a_path_still_has_a_target() -> None:
    """A base URL may be a bare host, and a request may be for its root."""
    heads = []

    async def notes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await read_head(reader)).split(b"\r\n")[0])
        writer.write(OK)

    async with puppet_worker() as puppet:
        await puppet.play(notes)
        async with Upstream(puppet.url.removesuffix("/v1"), "", PATIENT) as client:
            for path in ("", "?a=b"):
                async with client.send("GET", path, [], b"") as answer:
                    await answer.whole()

    assert heads == [b"GET / HTTP/1.1", b"GET /?a=b HTTP/1.1"]
