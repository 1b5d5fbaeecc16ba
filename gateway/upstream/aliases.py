"""Names that stand for a worker, a model there, a KV policy: MNEME_WORKERS taken apart. Knows no worker that runs."""

import msgspec

from gateway.errors import SettingsRefused

SCHEMES = ("http://", "https://", "dns+http://", "dns+https://")
"""What a base URL may begin with; with dns+ its host is a name for several replicas."""


class Alias(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model's name stands for; "" for what is left open. `url` is a base URL with its /v1, or those of several
    replicas (open: any worker that has the policy), `key` the bearer key that they want, `model` the name there (open:
    the first), `policy` a KV policy."""

    url: str | tuple[str, ...] = ""
    key: str = ""
    model: str = ""
    policy: str = ""

    @property
    def urls(self) -> tuple[str, ...]:
        """Its base URLs, as they are compared with others; none where they are left open."""
        return located(self.url) if isinstance(self.url, str) else tuple(dict.fromkeys(map(_ended, self.url)))


_aliases = msgspec.json.Decoder(dict[str, Alias])


def parse_aliases(text: str) -> dict[str, Alias]:
    """MNEME_WORKERS, a JSON object from names to objects like Alias; empty text has none. SettingsRefused says what is
    wrong and repeats no value, for it may be a key."""
    if not text.strip():
        return {}
    try:
        found = _aliases.decode(text)
    except (msgspec.DecodeError, RecursionError) as wrong:
        raise SettingsRefused(f"MNEME_WORKERS cannot be read: {wrong}.") from None
    keys: dict[str, str] = {}
    for name, alias in found.items():
        if not name:
            raise SettingsRefused("MNEME_WORKERS: an alias has no name.")
        if not alias.url and (alias.key or not alias.policy):
            raise SettingsRefused(f"MNEME_WORKERS: {name!r} needs a url, or else a policy and no key.")
        if not all(url.startswith(SCHEMES) for url in alias.urls):
            raise SettingsRefused(f"MNEME_WORKERS: the url of {name!r} must start with http:// or https://.")
        if any(keys.setdefault(url, alias.key) != alias.key for url in alias.urls):
            raise SettingsRefused(f"MNEME_WORKERS: the url of {name!r} has another key elsewhere.")
    return found


def located(text: str) -> tuple[str, ...]:
    """Base URLs that commas separate, as they are compared with others; each once."""
    return tuple(dict.fromkeys(_ended(url) for url in text.split(",") if url.strip()))


def _ended(url: str) -> str:
    return url.strip().rstrip("/")
