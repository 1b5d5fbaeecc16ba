"""How text and times are worded for people, on pages and on terminals alike. Pure; knows neither."""

import re
import unicodedata
from datetime import UTC, datetime

# What steers a terminal (C0, C1), has no looks of its own, such as turning the direction of writing, or is nothing yet.
_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
_UNUSUAL = re.compile(r"[^ -~]")


def visible(text: object, spared: str = "") -> str:
    """The text with a name in place of everything that is no visible character, ⟨U+001B⟩, but for those in `spared`."""
    return _UNUSUAL.sub(lambda found: found[0] if found[0] in spared else _named(found[0]), str(text))


def moment(seconds: float | None) -> str:
    """A time to the minute, in UTC, of seconds since 1970; "" for none."""
    if not seconds:
        return ""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, OSError, ValueError):
        return f"{seconds:g} s"


def _named(char: str) -> str:
    return f"⟨U+{ord(char):04X}⟩" if unicodedata.category(char) in _UNSEEN else char
