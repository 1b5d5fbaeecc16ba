"""MemoryBank: what happened on each day, who the user is, and a forgetting curve over all of it.

The idea (arXiv 2305.10250): days are summed up, a portrait of the user grows out of the days, and memories fade as
Ebbinghaus found unless they are recalled: R = e^(-t / (tau S)), S one more and t back to zero with every recall. The
paper's code has strength make forgetting faster, and draws by lot what it loads; here the curve is the paper's, and
nothing is drawn. docs/policies/memorybank.md tells what differs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from gateway.errors import NoModel
from gateway.memory.policies.asking import day, known, told
from gateway.memory.policies.base import Study
from gateway.memory.policies.fading import Ebbinghaus, Fading, faded, recalls
from gateway.memory.policies.verbatim import Verbatim
from gateway.memory.records import Candidate, Hit, Memory, Turn
from gateway.memory.reflections import Archive, Draft, Insert, Operation

_DAY = """Sum up what the user and the assistant talked about on this day: events, plans, facts about the user.
`summary` has at most {words} words, and goes on from the summary that there is of the same day."""
_PORTRAIT = """Describe the user: who they are, what they like, how they feel, and how one should answer them.
`portrait` has at most {words} words, and replaces the one that there is; keep of it what still holds."""
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Day:
    """What a model is asked for at the end of a batch, for every day in it."""

    summary: str


@dataclass(frozen=True, slots=True)
class Portrait:
    """And of the user."""

    portrait: str


@dataclass(frozen=True, slots=True)
class MemoryBank(Verbatim):
    """`shown` is the least that may be left of a memory for it to enter a prompt, `kept` for it to stay active."""

    name: str = "memorybank"
    thinks: bool = True
    curve: Fading = field(default_factory=Ebbinghaus)
    shown: float = 0.05
    kept: float = 0.001
    day_words: int = 80
    portrait_words: int = 80

    def rank(self, question: str, candidates: Sequence[Candidate], now: float) -> list[Hit]:
        """As verbatim; what has faded stays out."""
        return faded(Verbatim.rank(self, question, candidates, now), self.curve, now, self.shown)

    async def reflect(self, turns: Sequence[Turn], study: Study) -> Sequence[Operation]:
        """What was recalled grows stronger, what has all but faded is archived; with a model, days and a portrait."""
        made: list[Operation] = [*recalls(turns), *await self._over(max(turn.at for turn in turns), study)]
        try:
            made += await self._days(turns, study)
            made.append(await self._portrait(turns, study))
        except NoModel:
            return made
        return made

    async def _days(self, turns: Sequence[Turn], study: Study) -> list[Operation]:
        there = {memory.thought.tags[0]: memory for memory in await study.own("summary") if memory.thought}
        groups = groupby(turns, key=lambda turn: day(turn.at))
        return [await self._day(date, [*group], there.get(date), study) for date, group in groups]

    async def _portrait(self, turns: Sequence[Turn], study: Study) -> Operation:
        there = known(await study.own("profile"), "The portrait:")
        prompt = f"{_PORTRAIT.format(words=self.portrait_words)}\n\n{there}\n{told(turns)}"
        text = (await study.ask(prompt, Portrait)).portrait
        return Insert(Draft("profile", text, tuple(turn.id for turn in turns), key="portrait", pinned=True))

    async def _day(self, date: str, turns: list[Turn], before: Memory | None, study: Study) -> Operation:
        there = known([before] if before else [], "The summary of this day:")
        prompt = f"{_DAY.format(words=self.day_words)}\n\n{there}\n{told(turns)}"
        summary = (await study.ask(prompt, Day)).summary
        ids = tuple(turn.id for turn in turns)
        return Insert(Draft("summary", summary, ids, key=date, title=f"On {date}", tags=(date,)))

    async def _over(self, at: float, study: Study) -> list[Archive]:
        """What nobody needed and has all but faded, said or made; what was changed or brought back counts from then.
        `at` is the time of the turns: an old conversation that is told now has its own."""
        there = [*await study.own(), *await study.said()]
        fading = [replace(memory, at=max(memory.at, memory.updated)) for memory in there if not memory.pinned]
        over = [memory for memory in fading if self.curve.left(memory, at) < self.kept]
        return [Archive(memory.id) for memory in over[:_AT_ONCE]]
