"""Names that stand for a worker, a model there, a KV policy: MNEME_WORKERS taken apart. Knows no worker that runs."""

import msgspec

from gateway.errors import SettingsRefused

_SCHEMES = ("http://", "https://")


class Alias(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model's name stands for; "" for what is left open. `url` is a base URL with its /v1 (open: any worker that
    has the policy), `key` the bearer key it wants, `model` the name there (open: its first), `policy` a KV policy."""

    url: str = ""
    key: str = ""
    model: str = ""
    policy: str = ""


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
        if alias.url and not alias.url.startswith(_SCHEMES):
            raise SettingsRefused(f"MNEME_WORKERS: the url of {name!r} must start with http:// or https://.")
        if alias.url and keys.setdefault(located(alias.url), alias.key) != alias.key:
            raise SettingsRefused(f"MNEME_WORKERS: the url of {name!r} has another key elsewhere.")
    return found


def located(url: str) -> str:
    """A base URL as it is compared with others."""
    return url.rstrip("/")
