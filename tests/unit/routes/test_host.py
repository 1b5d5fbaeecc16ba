"""Which Host headers mean this machine."""

import pytest

from gateway.routes.host import is_local


@pytest.mark.parametrize(
    "host",
    [None, b"localhost", b"LOCALHOST:8080", b"127.0.0.1", b"127.0.0.2:80", b"[::1]", b"[::1]:8080", b"localhost:"],
)
def test_loopback_names_are_local(host: bytes | None) -> None:
    """With or without a port; no header comes from no browser."""
    assert is_local(host)


@pytest.mark.parametrize(
    "host",
    [
        b"",
        b":8080",
        b"example.org",
        b"example.org:8080",
        b"localhost.example.org",
        b"127.0.0.1.example.org",
        b"example.org:80:localhost",
        b"localhost:80:80",
        b"xlocalhost",
        b"[::1].example.org",
        b"[::2]:80",
        b"0.0.0.0",
        b"localhost\0",
        b" localhost",
        b"\xff",
    ],
)
def test_any_other_name_is_not(host: bytes) -> None:
    """A page may have bound it to this machine."""
    assert not is_local(host)
