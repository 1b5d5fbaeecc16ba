"""Salts and certificates: what only this installation can make."""

import stat
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import DataDirectoryRefused
from gateway.memory.records import Scope
from gateway.seal import Seal, open_secret

SEAL = Seal(b"s" * 32, "user")
STATEMENT = {"tenant": "t", "user": "u", "removed": {"turns": 3, "memories": 0}, "at": 1.5}


def test_no_two_users_share_a_salt() -> None:
    """However their names run into each other."""
    scopes = [
        Scope("a", "b"),
        Scope("ab", ""),
        Scope("a,b", ""),
        Scope('a","b', ""),
        Scope("", "ab"),
        Scope("a", "b\0"),
    ]

    assert len({SEAL.salt(scope) for scope in scopes}) == len(scopes)


def test_a_tenant_s_users_share_its_salt() -> None:
    """With share=tenant; another tenant has another one, and so has a user with share=user."""
    seal = Seal(b"s" * 32, "tenant")

    assert seal.salt(Scope("t", "a")) == seal.salt(Scope("t", "b"))
    assert len({seal.salt(Scope("t", "a")), seal.salt(Scope("t2", "a")), SEAL.salt(Scope("t", "a"))}) == 3


def test_a_salt_is_a_secret_of_256_bits() -> None:
    """43 base64url characters that depend on the installation; none with share=none."""
    salt = SEAL.salt(Scope("t", "u"))

    assert len(salt) == 43
    assert Seal(b"o" * 32, "user").salt(Scope("t", "u")) != salt
    assert Seal(b"s" * 32, "none").salt(Scope("t", "u")) == ""


def test_a_certificate_can_be_verified() -> None:
    """By the installation that made it, whatever the order of its members, and by no other."""
    certificate = SEAL.certify(STATEMENT)

    assert SEAL.verify(dict(reversed(certificate.items())))
    assert not Seal(b"o" * 32, "user").verify(certificate)


@pytest.mark.parametrize(
    "change",
    [
        {"user": "v"},
        {"removed": {"turns": 3, "memories": 1}},
        {"at": 1.25},
        {"more": None},
        {"signature": ""},
        {"signature": None},
        {"signature": "é"},
        {"signature": "\ud800"},
        {"more": 1 << 70},
        {"more": "\ud800"},
        {"more": object()},
    ],
)
def test_a_certificate_that_was_changed_is_refused(change: dict[str, Any]) -> None:
    """Also when it holds what could never have been signed."""
    assert not SEAL.verify({**SEAL.certify(STATEMENT), **change})


def test_a_certificate_that_lost_a_member_is_refused() -> None:
    """Every member is signed, and the signature must be there."""
    certificate = SEAL.certify(STATEMENT)

    assert not any(SEAL.verify({n: v for n, v in certificate.items() if n != gone}) for gone in certificate)


def test_a_seal_does_not_show_its_secret() -> None:
    """Not even in a log line."""
    assert "sss" not in repr(SEAL)


def test_a_secret_is_made_once_and_read_ever_after(tmp_path: Path) -> None:
    """For its owner's eyes only."""
    path = tmp_path / "secret"
    secret = open_secret(path)

    assert open_secret(path) == secret
    assert len(secret) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
def test_a_damaged_secret_refuses_to_start(tmp_path: Path, content: bytes) -> None:
    """And says how to mend it."""
    (tmp_path / "secret").write_bytes(content)

    with pytest.raises(DataDirectoryRefused, match="restore it"):
        open_secret(tmp_path / "secret")
