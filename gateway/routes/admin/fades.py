"""What a policy leaves of a memory as days go by, by its own curve: the one that it ranks and prunes with. Decides
nothing, and knows no memory of anybody's."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.memory.policies.base import Policy
from gateway.memory.policies.fading import DAY, Ebbinghaus, Fading, Salience
from gateway.memory.records import Memory, Scope
from gateway.memory.thoughts import Use

_DAYS = range(61)
# For curves that count a user's turns instead of days.
_TURNS_A_DAY = 10
# Said, or recalled for the last time, at this moment; 0 would mean never recalled.
_BEGAN = DAY
_NEVER = {"never recalled": Use()}
_RECALLED: Mapping[type, Mapping[str, Use]] = {
    Ebbinghaus: {f"S = {strength}": Use(strength, strength - 1, _BEGAN) for strength in (1, 3, 5)},
    Salience: {
        f"never recalled, {_TURNS_A_DAY} turns a day": Use(),
        f"recalled on day 0, {_TURNS_A_DAY} turns a day": Use(2, 1, _BEGAN),
    },
}
"""How memories are told apart whose curves are worth showing; of any other curve the plain one is."""


@dataclass(frozen=True, slots=True)
class Fade:
    """How much of a memory is left, in [0, 1], so many days after it was said or last recalled."""

    label: str
    days: tuple[float, ...]
    kept: tuple[float, ...]


def fades(policy: Policy) -> list[Fade]:
    """The curves of a policy; none where nothing fades."""
    curve: Fading | None = getattr(policy, "curve", None)
    if curve is None:
        return []
    drawn = [_drawn(curve, label, use) for label, use in _RECALLED.get(type(curve), _NEVER).items()]
    return [fade for fade in drawn if fade.kept[-1] < fade.kept[0]]


def _drawn(curve: Fading, label: str, use: Use) -> Fade:
    memory = Memory("", Scope("", ""), "", "", at=_BEGAN, use=use)
    left = [curve.left(memory, _BEGAN + day * DAY, day * _TURNS_A_DAY) for day in _DAYS]
    return Fade(label, tuple(map(float, _DAYS)), tuple(round(share, 4) for share in left))
