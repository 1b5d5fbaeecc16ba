"""What only this installation can compute: cache salts and forget certificates. Never reveals its secret."""

import hashlib
import hmac
import os
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from gateway.errors import DataDirectoryRefused
from gateway.memory.records import Scope

_BYTES = 32


@dataclass(frozen=True, slots=True, repr=False)
class Seal:
    """A secret and what it signs. `share`: whose prompts may share the worker's prefix cache (tenant, user, none)."""

    secret: bytes
    share: str

    def salt(self, scope: Scope) -> str:
        """43 base64url characters (256 bits, what vLLM advises), the same for everyone who may share; "" for none."""
        if self.share == "none":
            return ""
        who = [scope.tenant] if self.share == "tenant" else [scope.tenant, scope.user]
        return self._sign(b"salt", orjson.dumps(who))

    def owner(self, scope: Scope) -> str:
        """What all sessions of a user are known by at a worker that keeps their KV; says nothing of who it is."""
        return self._sign(b"owner", orjson.dumps([scope.tenant, scope.user]))

    def session(self, scope: Scope, session: str) -> str:
        """A session's name there: its owner's, a slash, its own."""
        own = self._sign(b"session", orjson.dumps([scope.tenant, scope.user, session]))
        return f"{self.owner(scope)}/{own}"

    def subject(self, scope: Scope) -> str:
        """What a user is known by in the audit log; says nothing of who it is."""
        return self._sign(b"subject", orjson.dumps([scope.tenant, scope.user]))

    def key(self, purpose: str) -> str:
        """A key for one purpose, as 32 bytes in base64url: the same on every replica, and no way back to the secret."""
        return self._sign(b"key", purpose.encode()) + "="

    def certify(self, statement: Mapping[str, Any]) -> dict[str, Any]:
        """The statement with a signature over it."""
        return {**statement, "signature": self._sign(b"certificate", _canonical(statement))}

    def verify(self, certificate: Mapping[str, Any]) -> bool:
        """Whether this installation signed exactly this certificate."""
        statement = {name: value for name, value in certificate.items() if name != "signature"}
        try:
            expected = self._sign(b"certificate", _canonical(statement))
        except orjson.JSONEncodeError:  # nothing that we could have signed
            return False
        return hmac.compare_digest(expected.encode(), str(certificate.get("signature", "")).encode("utf-8", "replace"))

    def _sign(self, purpose: bytes, message: bytes) -> str:
        digest = hmac.new(self.secret, purpose + b"\0" + message, hashlib.sha256).digest()
        return urlsafe_b64encode(digest).rstrip(b"=").decode()


def open_secret(path: Path) -> bytes:
    """The secret of this data directory, made on first use and readable by its owner only."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        secret = path.read_bytes()
        if len(secret) != _BYTES:
            raise DataDirectoryRefused(f"{path} is damaged: restore it from a backup, or delete it.") from None
        return secret
    with os.fdopen(descriptor, "wb") as file:
        secret = secrets.token_bytes(_BYTES)
        file.write(secret)
    return secret


def _canonical(statement: Mapping[str, Any]) -> bytes:
    return orjson.dumps(dict(statement), option=orjson.OPT_SORT_KEYS)
