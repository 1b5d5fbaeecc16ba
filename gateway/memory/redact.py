"""Secrets out of text before anything is stored. Pure; knows nothing of who said it or where it goes.

detect-secrets finds the tokens of known issuers. It was made for source code, so what people write in chats is added
here: passwords told in prose, in an assignment or in an address, whole private keys, and key prefixes younger than its
last release.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.plugins.base import RegexBasedDetector

MASK = "[secret removed]"
Span = tuple[int, int]

# Left out: what takes ordinary words, numbers or addresses for secrets; and what knows fewer tokens than the patterns
# below, or is kept busy for minutes by a hostile text (quadratic or worse).
_TOO_EAGER = frozenset({"Secret Keyword", "Public IP (ipv4)", "Base64 High Entropy String", "Hex High Entropy String"})
_DONE_BELOW = frozenset(
    {
        "Basic Auth Credentials",
        "Cloudant Credentials",
        "IBM COS HMAC Credentials",
        "IBM Cloud IAM Key",
        "JSON Web Token",
        "NPM tokens",
        "OpenAI Token",
        "SoftLayer Credentials",
    }
)
_AROUND = " \t\r\n=:\"'"
_BEHIND = ".!?)]}>"
_SHORTEST, _LONGEST = 16, 512
_AFTER = re.compile(r"[\w~+-]*+(?:[./=]++[\w~+-]++)*+=*+")
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r".*?(?:-----END [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.S,
)
_PREFIXED = re.compile(
    r"(?<![A-Za-z0-9])(?:sk-[\w-]{20,}|gsk_[A-Za-z0-9]{20,}|hf_[A-Za-z0-9]{20,}|AIza[\w-]{35}|github_pat_\w{30,}"
    r"|gh[opusr]_[A-Za-z0-9]{30,}|glpat-[\w-]{20,}|xox[abeprs]-[\w-]{10,}|xapp-[\w-]{20,}|npm_[A-Za-z0-9]{30,}"
    r"|[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/]{20,}|ya29\.[\w-]{20,}|nvapi-[\w-]{40,}"
    r"|dop_v1_[a-f0-9]{40,}|hvs\.[\w-]{20,}|AGE-SECRET-KEY-1[A-Z0-9]{40,})"
)
_JWT = re.compile(r"eyJ[\w=-]*+(?P<rest>\.[\w.+/=-]*+)?")
_IN_URL = re.compile(r"://[^\s/:@\"'<>]{0,128}:(?P<secret>[^\s/\"'<>]{1,256})@")
_CREDENTIALS = re.compile(
    r"(?i)\bbearer\s+(?P<bearer>[\w.~+/=-]{16,})|\bauthorization\W{1,4}basic\s+(?P<basic>[\w+/=-]{8,})"
    r"|(?<!\S)-u\s{0,4}[\"']?[\w.@-]{1,64}:(?!\[secret)(?P<user>[^\s\"']{3,})"
)
_NAMES = r"""(?:(?P<password>(?:password|passphrase|passcode|passwd|(?<![a-z])(?:pwd|pgpass))s?)
    | (?:client|app|webhook|shared)[ _-]?secret | secret[ _-]?(?:access[ _-]?)?key(?:_base)?
    | (?:api|iam|access|private|account|encryption|signing|master|storage)[ _-]?key(?:[ _-]?id)?
    | (?:access|auth|bearer|api|refresh|bot|session|secret)[ _-]?token)"""
_VALUE = r"""(?:(?P<quote>["'`])(?P<quoted>[^"'`\n]{4,200})(?=(?P=quote))|(?P<bare>[^\s"'`,;]{4,256}))"""
_TOLD = re.compile(
    rf"""(?ix){_NAMES}\b (?:\s{{1,4}}(?:for|on|of|at|to)\s{{1,4}}[\w .'-]{{1,40}}?)?
    (?:\s{{1,4}}(?:(?:is|was|are)(?:\s{{1,4}}(?:now|still|currently))?|to)\s{{0,4}}:?\s{{1,4}} | \s{{0,4}}:\s{{1,4}}
    | \s{{1,4}}(?=["'`])) {_VALUE}"""
)
_ASSIGNED = re.compile(
    rf"""(?ix)(?:{_NAMES}|(?<![a-z])(?:(?P<pass>pass)|secret|token|_authtoken))
    (?:["'`]?\s{{0,4}}(?:=>|:=|==?|:)\s{{0,4}}) {_VALUE}"""
)
_OPTION = re.compile(rf"(?i)--(?P<password>pass(?:word)?|token|secret|api-?key)\s{{1,4}}{_VALUE}")
_PIN = re.compile(
    r"(?i)(?<![a-z])(?:pin|passcode)(?:\s{1,4}(?:code|number))?(?:\s{1,4}is|:)?\s{1,4}(?P<secret>\d{4,12})\b"
)
_HINT = re.compile(r"(?i)pass|pwd|secret|token|key|pin")
_MADE_UP = re.compile(r"[0-9]|[@#$%^&*+=~|\\<>{}!?]|[a-z][A-Z]|(?:\w+[-_.]){3}")
# Calls, placeholders, what a variable holds, "12-character", and what this file has put there itself.
_NO_VALUE = re.compile(
    r"[A-Za-z_.]+[(\[]|\$\{?\w+\}?$|\$\(|<.*>?$|\{\{|%[(\w]|\[secret|[*.xX]+$|\d{1,3}(?:-[a-z]+)+$"
    r"|(?:true|false|none|null|undefined|required|optional|string|str|text|bytes|int|any|not|self[.]\w+)$",
    re.I,
)


def redact(text: str) -> str:
    """The text with every secret replaced by MASK; the same text when there is none. Idempotent."""
    kept, at = [], 0
    for start, end in sorted(_secrets(text)):
        if start >= at:
            kept += [text[at:start], MASK]
        at = max(at, end)
    return "".join([*kept, text[at:]])


def _secrets(text: str) -> Iterator[Span]:
    covered = 0
    for start, end in sorted(_issued(text)):
        if end > covered:
            found = _whole(text, start, end)
            covered = found[1]
            yield found
    yield from (match.span("secret") for match in _IN_URL.finditer(text))
    yield from (match.span(match.lastgroup or 0) for match in _CREDENTIALS.finditer(text))
    if _HINT.search(text):
        yield from (match.span("secret") for match in _PIN.finditer(text))
        for pattern in (_TOLD, _ASSIGNED, _OPTION):
            yield from (_value(match) for match in pattern.finditer(text) if _tells(match, pattern is not _TOLD))


def _issued(text: str) -> Iterator[Span]:
    """Tokens that their own form gives away."""
    yield from (match.span() for match in _PRIVATE_KEY.finditer(text))
    yield from (match.span() for match in _PREFIXED.finditer(text) if any(c.isdigit() for c in match[0]))
    yield from (match.span() for match in _JWT.finditer(text) if match["rest"])
    for pattern in _detectors():
        for match in pattern.finditer(text):
            # A pattern's group is the token, or only its prefix.
            yield match.span(1 if match.lastindex and len(match[1]) >= _SHORTEST else 0)


def _whole(text: str, start: int, end: int) -> Span:
    """A detector may report a part of the token (a prefix, or the quote before it): all of it goes, and no more."""
    while start < end and text[start] in _AROUND:
        start += 1
    while end > start and text[end - 1] in _AROUND:
        end -= 1
    left, after = start, _AFTER.match(text, end)
    while left > 0 and start - left < _LONGEST and (text[left - 1].isalnum() or text[left - 1] in "_~+-"):
        left -= 1
    return left, after.end() if after else end


def _value(match: re.Match[str]) -> Span:
    if match["quoted"]:
        return match.span("quoted")
    start, end = match.span("bare")
    return start, start + len(match["bare"].rstrip(_BEHIND)) or end


def _tells(match: re.Match[str], assigned: bool) -> bool:
    """Only what looks like a secret: "the password is wrong" tells nothing, "the password is hunter2" does."""
    value = match["quoted"] or match["bare"].rstrip(_BEHIND)
    if not value or _NO_VALUE.match(value):
        return False
    if match["password"]:
        return bool(match["quoted"] or (assigned and "=" in match[0]) or _MADE_UP.search(value))
    return not value.isdecimal() and bool(match["quoted"] or _MADE_UP.search(value))


@cache
def _detectors() -> tuple[re.Pattern[str], ...]:
    kinds: Mapping[str, Any] = get_mapping_from_secret_type_to_class()  # its own annotation says type[Never]
    wanted = (kind for name, kind in kinds.items() if name not in _TOO_EAGER | _DONE_BELOW)
    return tuple(pattern for kind in wanted if issubclass(kind, RegexBasedDetector) for pattern in kind.denylist)
