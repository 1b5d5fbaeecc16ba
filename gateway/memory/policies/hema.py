"""HEMA: a compact memory that always stands by, beside a memory of turns that is searched and pruned.

The idea (arXiv 2504.16754): one short summary rolls along with the conversation; every hundred turns it is closed as a
chapter, and the chapters are summed up in turn; turns are found by likeness, and the least salient leave. The paper's
formula rewards what was not recalled, its words what was: fading.Salience follows the words. Here the summary begins
anew with each chapter, and no sentence stands in two of them. Without a model they are made of the most telling
sentences. docs/policies/hema.md tells what differs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.errors import NoModel
from gateway.memory.policies.asking import known, material, told
from gateway.memory.policies.base import Study
from gateway.memory.policies.extracts import extract, without
from gateway.memory.policies.fading import Fading, Salience, recalls
from gateway.memory.policies.verbatim import Verbatim
from gateway.memory.records import Memory, Turn
from gateway.memory.reflections import Archive, Draft, Forget, Insert, Operation
from gateway.memory.thoughts import Link

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
        own = {memory.thought.tags[0]: memory for memory in await study.own("summary") if memory.thought}
        compact, since = own.pop(_COMPACT, None), tuple(turn.id for turn in turns)
        before = max((_seen(memory) for memory in (compact, *own.values()) if memory), default=0)
        after = before + len(turns)
        prompt = f"{known([compact] if compact else [], 'So far:')}\n{told(turns)}"
        said = [*([compact.text] if compact else []), *(_ended(turn.user_text) for turn in turns)]
        text = await self._summary(_ROLL, prompt, said, [memory.text for memory in own.values()], study)
        if after // self.chapter == before // self.chapter:
            return [*recalls(turns), _kept(_COMPACT, text, since, after, pinned=True)]
        sources = (*(compact.sources if compact else ()), *since)
        new = Draft("summary", text, sources, key=f"{_CHAPTER} {before // self.chapter + 1}")
        over = [Forget(compact.id)] if compact else []
        return [*recalls(turns), *over, *await self._closed(new, own, after, study), *await self._least(study)]

    async def _closed(self, new: Draft, own: Mapping[str, Memory], after: int, study: Study) -> list[Operation]:
        """A chapter beside the former ones, summed up with them. The first one is pinned until there is a book; what
        the book tells leaves the chapters, and one that has nothing else to tell."""
        chapters = [memory for tag, memory in own.items() if tag.startswith(_CHAPTER)]
        if not chapters:
            return [_kept(new.key, new.text, new.sources, after, pinned=True)]
        texts = [*(memory.text for memory in own.values()), new.text]
        text = await self._summary(_CLOSE, material("The chapters:", texts), texts, [], study)
        sources = tuple(source for memory in own.values() for source in memory.sources)
        book = _kept(_BOOK, text, (*sources, *new.sources), after, pinned=True, over=chapters)
        made: list[Operation] = [book]
        for memory in chapters:
            left = without(memory.text, [text])
            made.append(_kept(_tag(memory), left, memory.sources, _seen(memory)) if left else Forget(memory.id))
        left = without(new.text, [text])
        return [*made, *([_kept(new.key, left, new.sources, after)] if left else [])]

    async def _summary(self, ask: str, prompt: str, said: Sequence[str], held: Sequence[str], study: Study) -> str:
        """Of what was said, without the sentences that other summaries hold, if there are others."""
        try:
            text = (await study.ask(f"{ask.format(words=self.short_words)}\n\n{prompt}", Summary)).summary.strip()
        except NoModel:
            text = ""
        whole = "\n".join(said)
        return without(text, held) or text or extract(without(whole, held) or whole, self.short_words)

    async def _least(self, study: Study) -> list[Archive]:
        """The least salient of the turns: archived, so that what was said is still there."""
        turns = [memory for memory in await study.said() if not memory.pinned]
        left = [(self.curve.left(m, study.now, len(turns) - 1 - at), m.id) for at, m in enumerate(turns)]
        return [Archive(id) for _, id in sorted(left)[: int(len(turns) * self.pruned)]]


def _kept(
    tag: str, text: str, sources: Sequence[str], seen: int, *, pinned: bool = False, over: Sequence[Memory] = ()
) -> Insert:
    """`seen`: after how many turns of the user; `over`: memories whose evidence it rests on too."""
    links = tuple(Link(memory.id, "semantic") for memory in over)
    return Insert(Draft("summary", text, tuple(sources), key=tag, tags=(tag, f"{seen}"), links=links, pinned=pinned))


def _ended(said: str) -> str:
    """So that what was said stays a sentence of its own beside the next one."""
    return f"{said}." if said[-1:].isalnum() else said


def _tag(memory: Memory) -> str:
    return memory.thought.tags[0] if memory.thought else ""


def _seen(memory: Memory) -> int:
    """After how many turns of the user it was written; 0 where that was not told."""
    return int(memory.thought.tags[1]) if memory.thought and len(memory.thought.tags) > 1 else 0
