"""Which turns are to be thought about, and when. Thinks about none itself, and knows no policy's name."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gateway.memory.policies.base import Policy
from gateway.memory.records import Scope, Turn
from gateway.memory.reflections import Due
from gateway.memory.thinking import Agenda


@dataclass(frozen=True, slots=True)
class Pace:
    """When thinking begins: with `turns` of a user, or when they have been silent for `idle` seconds; at most `turns`
    of at most `chars` characters together are thought about at once. `calls` and `tokens` are what a tenant's
    reflection may ask of a model on a day (UTC), 0 for as much as it likes."""

    turns: int = 8
    idle: float = 60.0
    chars: int = 16_000
    calls: int = 0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Planner:
    """Puts turns on the agenda, if their policy thinks about turns at all. `default` is the policy of turns that name
    none."""

    agenda: Agenda
    policies: Mapping[str, Policy]
    default: str
    pace: Pace
    clock: Callable[[], float]

    async def plan(self, turns: Sequence[Turn]) -> None:
        """These turns were indexed. What goes on with tools has not ended and is not thought about yet; what showed
        pictures is, whatever its policy."""
        dues: dict[Scope, list[Due]] = {}
        for turn in turns:
            name = turn.policy or self.default
            thinks = name in self.policies and (self.policies[name].thinks or bool(turn.media))
            if thinks and turn.ending != "open":
                dues.setdefault(turn.scope, []).append(Due(turn.id, turn.seq, name, stamp(turn)))
        for scope, due in dues.items():
            await self._add(scope, due)

    async def again(self, scope: Scope, turns: Sequence[Turn], because: str) -> None:
        """What was made of these turns is gone, `because` of what: they are thought about once more."""
        dues = [Due(t.id, t.seq, t.policy or self.default, f"{stamp(t)} {because}") for t in turns]
        await self._add(scope, dues)

    async def _add(self, scope: Scope, dues: Sequence[Due]) -> None:
        now = self.clock()
        if await self.agenda.add(scope, dues, now + self.pace.idle) >= self.pace.turns:
            await self.agenda.add(scope, dues, now)  # at once; but who is thought about now is not given out twice


def stamp(turn: Turn) -> str:
    """Another one for whatever else was said, or told of how it did."""
    told = turn.feedback and (turn.feedback.outcome, turn.feedback.score, turn.feedback.text)
    parts = repr((turn.user_text, turn.reply_text, turn.ending, told)).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(parts, digest_size=8).hexdigest()
