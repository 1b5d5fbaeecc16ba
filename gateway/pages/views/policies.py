"""The memory policies: what each does, how it is set, and how memories fade under it. Decides nothing."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from starlette.responses import Response

from gateway.pages.look import share
from gateway.pages.visitor import Visitor


async def listing(visitor: Visitor) -> Response:
    """The page, the default policy first."""
    cards = (await visitor.api.get("/policies"))["policies"]
    cards.sort(key=lambda card: (not card["default"], card["name"]))
    usual = dict(_knobs(next((card["knobs"] for card in cards if card["default"]), [])))
    return visitor.page("policies.html", cards=[_card(card, usual) for card in cards])


def _card(card: Mapping[str, Any], usual: Mapping[str, str]) -> dict[str, Any]:
    """A policy's own knobs, and those that stand as the default policy has them."""
    knobs = list(_knobs(card["knobs"]))
    own = [(name, value) for name, value in knobs if card["default"] or usual.get(name) != value]
    return {**card, "own": own, "usual": [knob for knob in knobs if knob not in own], "chart": _chart(card["fades"])}


def _knobs(knobs: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """A knob that holds knobs is told by these."""
    for knob in knobs:
        value = knob["value"]
        if isinstance(value, dict):
            yield from ((f"{knob['name']}.{name}", _worded(each)) for name, each in value.items())
        else:
            yield knob["name"], _worded(value)


def _worded(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_worded, value)) or "none"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) and value < 1e6 else str(value)


def _chart(fades: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The curves over the same days, and what they come to, for who cannot see them."""
    if not fades:
        return None
    lines = [{"label": fade["label"], "values": fade["kept"]} for fade in fades]
    return {
        "drawn": {"x": fades[0]["days"], "lines": lines, "label": "days"},
        "said": [(fade["label"], _half(fade), share(fade["kept"][-1], 1), fade["days"][-1]) for fade in fades],
    }


def _half(fade: Mapping[str, Any]) -> float | None:
    """The first day on which no more than half is left."""
    return next((day for day, kept in zip(fade["days"], fade["kept"], strict=True) if kept <= 0.5), None)
