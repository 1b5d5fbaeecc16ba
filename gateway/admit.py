"""Who is asking: tenant from the API key, user and session from the request. Never guesses a user."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gateway.errors import BadRequest, NotAuthenticated, SettingsRefused
from gateway.memory.records import Scope

_LONGEST_ID = 512
LONGEST_WATCH = 500
"""Characters of what somebody asks to be told."""


@dataclass(frozen=True, slots=True)
class Quota:
    """How many memories a user and a whole tenant may have before new turns are not kept; 0 for any number."""

    memories_per_user: int = 0
    memories: int = 0


NO_QUOTA = Quota()


@dataclass(frozen=True, slots=True)
class Key:
    """What an API key stands for. `user` is who speaks when a single-user key names nobody; "" for per-user keys."""

    tenant: str
    user: str
    quota: Quota = NO_QUOTA


LOCAL = Key("local", "local")
"""Whom the one local single-user key stands for."""


@dataclass(frozen=True, slots=True)
class Mode:
    """Whether memory is read into the prompt, and whether the turn is written to memory."""

    name: str
    reads: bool
    writes: bool


MODES = {
    "off": Mode("off", reads=False, writes=False),
    "read": Mode("read", reads=True, writes=False),
    "write": Mode("write", reads=False, writes=True),
    "on": Mode("on", reads=True, writes=True),
}


@dataclass(frozen=True, slots=True)
class Options:
    """The body's `memory` object. None means: as the operator configured. `at` is when the turn is said (epoch), and
    `as_of` the moment at which what is recalled was believed; None for now. `watch` is what the user asks to be told of
    once it is known, "" for nothing."""

    policy: str | None = None
    tokens: int | None = None
    at: float | None = None
    as_of: float | None = None
    watch: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose request it is. `scope` is None when nobody was named on a per-user key: then memory stays off."""

    scope: Scope | None
    session: str | None
    options: Options


class Keyring:
    """The keys of MNEME_KEYS, looked up by digest so that comparing costs the same for every guess."""

    def __init__(self, keys: Mapping[str, Key]) -> None:
        self._keys = {digest(secret.encode()): key for secret, key in keys.items()}

    def tenants(self) -> list[str]:
        """The tenants that have a key, in order."""
        return sorted({key.tenant for key in self._keys.values()})

    def find(self, known: bytes) -> Key | None:
        """What the key with this digest stands for."""
        return self._keys.get(known)


def bearer(authorization: bytes | None) -> bytes:
    """The secret in an Authorization header; NotAuthenticated if there is none."""
    scheme, _, secret = (authorization or b"").partition(b" ")
    if scheme.lower() != b"bearer" or not secret.strip():
        raise NotAuthenticated("No API key was given. Send it as 'Authorization: Bearer <key>'.")
    return secret.strip()


def digest(secret: bytes) -> bytes:
    """SHA-256, 32 bytes. An issued key is 256 random bits: there is nothing to guess that a slow hash would slow."""
    return hashlib.sha256(secret).digest()


def parse_keys(text: str, local_key: str) -> dict[str, Key]:
    """MNEME_KEYS → secrets and what they stand for. Empty text gives the one local single-user key, if there is one."""
    if not text.strip():
        return {local_key: LOCAL} if local_key else {}
    keys: dict[str, Key] = {}
    for entry in text.split(","):
        secret, tenant, kind, *more = [*(part.strip() for part in entry.split(":")), "", ""]
        if any(more) or not secret or not tenant or kind not in ("", "per-user", "single-user"):
            raise SettingsRefused(
                "MNEME_KEYS: each entry reads key:tenant, key:tenant:per-user or key:tenant:single-user"
            )
        if secret in keys:
            raise SettingsRefused("MNEME_KEYS: a key stands there twice")
        keys[secret] = Key(tenant, tenant if kind == "single-user" else "")
    return keys


def read_mode(header: bytes | None) -> Mode:
    """X-Mneme-Memory; on when it is absent, BadRequest when it is none of the four words."""
    word = (header or b"on").decode("latin-1").strip().lower()
    if word not in MODES:
        raise BadRequest(f"X-Mneme-Memory must be one of {', '.join(MODES)}.", param="X-Mneme-Memory")
    return MODES[word]


def admit(key: Key, headers: Mapping[bytes, bytes], fields: Mapping[str, Any]) -> Caller:
    """Who asks, from headers first and the parsed body second. BadRequest for an unusable `memory` object or id."""
    metadata = fields.get("metadata")
    extra = metadata if isinstance(metadata, dict) else {}
    user = (
        _header_id(headers, b"x-mneme-user")
        or _body_id(fields, "user")
        or _body_id(fields, "safety_identifier")
        or _body_id(extra, "user_id")
        or key.user
    )
    session = _header_id(headers, b"x-mneme-session") or _body_id(extra, "session_id")
    scope = Scope(key.tenant, user) if user else None
    return Caller(scope, session or None, _options(fields.get("memory")))


def _header_id(headers: Mapping[bytes, bytes], name: bytes) -> str:
    raw = headers.get(name, b"").strip()
    try:
        value = raw.decode()
    except UnicodeDecodeError:
        value = raw.decode("latin-1")
    return _checked(value, name.decode())


def _body_id(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    return _checked(value, name) if isinstance(value, str) else ""


def _checked(value: str, name: str) -> str:
    if len(value) > _LONGEST_ID:
        raise BadRequest(f"{name} is longer than {_LONGEST_ID} characters.", param=name)
    return value


def _options(memory: Any) -> Options:
    if memory is None:
        return Options()
    if not isinstance(memory, dict):
        raise BadRequest("'memory' must be an object, such as {\"tokens\": 800}.", param="memory")
    unknown = sorted(set(memory) - {"policy", "tokens", "at", "as_of", "watch"})
    if unknown:
        known = "policy, tokens, at, as_of and watch"
        raise BadRequest(f"'memory' has no option {unknown[0]!r}; it knows {known}.", param="memory")
    policy, tokens = memory.get("policy"), memory.get("tokens")
    if policy is not None and not isinstance(policy, str):
        raise BadRequest("'memory.policy' must be a string.", param="memory.policy")
    if tokens is not None and (isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < 0):
        raise BadRequest("'memory.tokens' must be a whole number, 0 or more.", param="memory.tokens")
    at, as_of = (instant(memory.get(name), f"memory.{name}") for name in ("at", "as_of"))
    return Options(policy, tokens, at, as_of, _watch(memory.get("watch")))


def _watch(text: Any) -> str:
    if text is None:
        return ""
    if not isinstance(text, str) or not 0 < len(text.strip()) <= LONGEST_WATCH:
        raise BadRequest(f"'memory.watch' must be a text of at most {LONGEST_WATCH} characters.", param="memory.watch")
    return text.strip()


def instant(at: Any, name: str) -> float | None:
    """An ISO 8601 date-time (UTC when it names no zone) or seconds since the epoch; BadRequest about `name` if not."""
    if at is None:
        return None
    if isinstance(at, int | float) and not isinstance(at, bool) and 0 <= at < 1e11:
        return float(at)
    try:
        moment = datetime.fromisoformat(at)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        raise BadRequest(f"'{name}' must be an ISO 8601 time or seconds since 1970.", param=name) from None
