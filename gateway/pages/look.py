"""Templates and how values are worded in them. Everything is escaped, always; knows no view."""

import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gateway.wording import moment, visible

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def render(template: str, **context: Any) -> str:
    """A template, filled in. A name that it does not get is an error."""
    return _templates.get_template(template).render(**context)


def shown(text: object) -> str:
    """Text in which nothing hides: what has no looks, or turns others around, is named."""
    return visible(text, "\n\t\u200d")  # a joiner makes one emoji of several


def machine(seconds: float | None) -> str:
    """The same for the attribute of <time>."""
    return moment(seconds).replace(" ", "T") + "Z" if seconds else ""


def lasting(seconds: float | None) -> str:
    """A stretch of time in one unit, "–" where nobody knows."""
    if seconds is None or seconds < 0:
        return "–"
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def amount(number: float | None) -> str:
    """A number with its thousands apart, "–" where nobody knows."""
    if number is None or number < 0:
        return "–"
    return f"{number:,.0f}".replace(",", "\u202f")


def score(number: float | None) -> str:
    """A number with as many digits as tell something."""
    return "–" if number is None else f"{number:.3g}"


def share(part: float | None, whole: float | None) -> str:
    """Per cent, "–" of nothing."""
    return f"{100 * part / whole:.0f} %" if part is not None and whole else "–"


_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    auto_reload=False,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters.update(
    shown=shown, moment=moment, machine=machine, lasting=lasting, amount=amount, score=score, share=share
)
_templates.filters["json"] = lambda value, indent=None: json.dumps(value, indent=indent, ensure_ascii=True)
