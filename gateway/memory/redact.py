"""Secrets out of text before anything is stored. Pure; knows nothing of who said it or where it goes.

detect-secrets finds the tokens of known issuers. It was made for source code, so three things that people write in
chats are added here: passwords told in prose, whole private keys, and key prefixes younger than its last release.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.plugins.base import RegexBasedDetector

MASK = "[secret removed]"

# Left out: what takes ordinary words, numbers or addresses for secrets.
_TOO_EAGER = frozenset({"Secret Keyword", "Public IP (ipv4)", "Base64 High Entropy String", "Hex High Entropy String"})
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|\Z)", re.S
)
_PREFIXED = re.compile(
    r"\b(?:sk-[A-Za-z0-9_-]{20,}|gsk_[A-Za-z0-9]{20,}|hf_[A-Za-z0-9]{20,}|AIza[0-9A-Za-z_-]{35}|github_pat_\w{30,}"
    r"|gh[opusr]_[A-Za-z0-9]{30,}|glpat-[\w-]{20,}|xox[abprs]-[\w-]{10,}|[sr]k_live_[A-Za-z0-9]{16,}|ya29\.[\w-]{20,})"
)
_TOLD = re.compile(
    r"""(?ix)\b(?:pass(?:word|phrase|code|wd)? | pwd | pin(?:\ code)? | api[ _-]?key | secret(?:[ _-]?key)?
    | (?:access|auth|bearer)[ _-]?token)\b
    (?P<link>(?:\s+for\s+[\w .'-]{1,40}?)?(?:\s+(?:is|was)\s*:?\s+ | \s*[:=]\s* | \s+(?=["'`])))
    (?P<quote>["'`]?)(?P<secret>[^\s"'`,;]{4,})"""
)
_AFTER_BEARER = re.compile(r"(?i)\bbearer\s+(?P<secret>[\w.~+/=-]{16,})")


def redact(text: str) -> str:
    """The text with every secret replaced by MASK; the same text when there is none. Idempotent."""
    if "PRIVATE KEY" in text:
        text = _PRIVATE_KEY.sub(MASK, text)
    text = _PREFIXED.sub(MASK, text)
    text = _AFTER_BEARER.sub(_mask_group, text)
    text = _TOLD.sub(_mask_told, text)
    return "\n".join(_redact_line(line) for line in text.split("\n"))


def _mask_group(match: re.Match[str]) -> str:
    start = match.start("secret") - match.start()
    return match[0][:start] + MASK


def _mask_told(match: re.Match[str]) -> str:
    """Only what looks like a secret: "the password is wrong" tells nothing, "the password is hunter2" does."""
    secret = match["secret"].rstrip(".!?)")
    looks_made_up = any(c.isdigit() for c in secret) or any(not c.isalnum() for c in secret) or match["quote"]
    if not looks_made_up or secret.startswith("["):
        return match[0]
    start = match.start("secret") - match.start()
    return match[0][:start] + MASK + match["secret"][len(secret) :]


def _redact_line(line: str) -> str:
    if len(line) < 8:
        return line
    for found in sorted(set(_found(line)), key=len, reverse=True):
        # A detector may report a part of the token (a prefix, a JWT without its signature): all of it goes.
        line = re.sub(r"[\w.~+/=-]*" + re.escape(found) + r"[\w.~+/=-]*", lambda _: MASK, line)
    return line


def _found(line: str) -> Iterator[str]:
    for analyse in _detectors():
        for secret in analyse(line):
            if secret and not MASK.startswith(secret):
                yield secret


@cache
def _detectors() -> tuple[Callable[[str], Iterator[str]], ...]:
    kinds: Mapping[str, Any] = get_mapping_from_secret_type_to_class()  # its own annotation says type[Never]
    wanted = (kind for name, kind in kinds.items() if name not in _TOO_EAGER and issubclass(kind, RegexBasedDetector))
    return tuple(kind().analyze_string for kind in wanted)
