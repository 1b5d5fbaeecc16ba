"""HEMA: a compact memory that always stands by, beside a memory of turns that is searched and pruned.

The idea (arXiv 2504.16754): one short summary rolls along with the conversation; every hundred turns it is closed as a
chapter, and the chapters are summed up in turn; turns are found by likeness, and the least salient leave. The paper's
formula rewards what was not recalled, its words what was: fading.Salience follows the words. Without a model the
summaries are made of the most telling sentences. docs/policies/hema.md tells what differs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.errors import NoModel
from gateway.memory.policies.asking import known, told
from gateway.memory.policies.base import Study
from gateway.memory.policies.extracts import extract
from gateway.memory.policies.fading import Fading, Salience, recalls
from gateway.memory.policies.verbatim import Verbatim
from gateway.memory.records import Memory, Turn
from gateway.memory.reflections import Archive, Draft, Insert, Operation

_ROLL = """Go on with the summary of a conversation: `summary` says in at most {words} words what matters of all of it
so far, the newest turns included."""
_CLOSE = """`summary` says in at most {words} words what these chapters of a conversation have in common, and what came
of each."""
_COMPACT, _BOOK, _CHAPTER = "compact", "book", "chapter"


@dataclass(frozen=True, slots=True)
class Summary:
    """What a model is asked for."""

    summary: str


@dataclass(frozen=True, slots=True)
class Hema(Verbatim):
    """Every `chapter` turns a chapter is closed, and of the turns the share `pruned` with the least salience leaves
    (numbers of the paper). Words are a model's limit: 45 of them are about the paper's 60 tokens."""

    name: str = "hema"
    thinks: bool = True
    curve: Fading = field(default_factory=Salience)
    short_words: int = 45
    chapter: int = 100
    pruned: float = 0.005

    async def reflect(self, turns: Sequence[Turn], study: Study) -> Sequence[Operation]:
        """The compact memory rolls on; at the end of a chapter the book does, and turns are pruned."""
        made: list[Operation] = [*recalls(turns)]
        own = {memory.thought.tags[0]: memory for memory in await study.own("summary") if memory.thought}
        compact, since = own.get(_COMPACT), tuple(turn.id for turn in turns)
        text = await self._summary(_ROLL, [compact] if compact else [], turns, study)
        before = int(compact.thought.tags[1]) if compact and compact.thought else 0
        rolled = self._kept(_COMPACT, text, since, str(before + len(turns)), pinned=True)
        if compact is None or (before + len(turns)) // self.chapter == before // self.chapter:
            return [*made, rolled]
        number, sources = before // self.chapter + 1, (*compact.sources, *since)
        closed = self._kept(f"{_CHAPTER} {number}", text, sources)
        chapters = [memory for tag, memory in own.items() if tag.startswith(_CHAPTER)]
        book = await self._summary(_CLOSE, chapters, turns, study) if chapters else text
        return [*made, closed, self._kept(_BOOK, book, sources, pinned=True), rolled, *await self._least(study)]

    async def _summary(self, ask: str, before: Sequence[Memory], turns: Sequence[Turn], study: Study) -> str:
        prompt = f"{ask.format(words=self.short_words)}\n\n{known(before, 'So far:')}\n{told(turns)}"
        try:
            return (await study.ask(prompt, Summary)).summary
        except NoModel:
            said = [*(memory.text for memory in before), *(turn.user_text for turn in turns)]
            return extract("\n".join(said), self.short_words)

    def _kept(self, tag: str, text: str, sources: tuple[str, ...], *more: str, pinned: bool = False) -> Insert:
        """`more` behind the tag: of the compact memory how many turns it has seen."""
        return Insert(Draft("summary", text, sources, key=tag, tags=(tag, *more), pinned=pinned))

    async def _least(self, study: Study) -> list[Archive]:
        """The least salient of the turns: archived, so that what was said is still there."""
        turns = [memory for memory in await study.said() if not memory.pinned]
        left = [(self.curve.left(m, study.now, len(turns) - 1 - at), m.id) for at, m in enumerate(turns)]
        return [Archive(id) for _, id in sorted(left)[: int(len(turns) * self.pruned)]]
