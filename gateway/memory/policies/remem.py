"""ReMem: experiences as ExpRAG keeps them, which a model goes over again and again: what is worth nothing leaves, what
is long-winded is said anew, and a failure from which nothing can be learned is not kept.

The idea (Evo-Memory, arXiv 2511.20857): beside thinking and acting there is a third thing to do, refining: the model
names numbers of its experiences to prune or to reorganise. The agent thinks and acts before the answer; here it refines
after it, so that no answer waits. docs/policies/remem.md tells what differs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from gateway.errors import NoModel
from gateway.memory.policies.asking import material, picked, remarked, told
from gateway.memory.policies.base import Study
from gateway.memory.policies.exprag import ExpRag, experience
from gateway.memory.records import Candidate, Hit, Kind, Memory, Turn
from gateway.memory.reflections import Draft, Insert, Operation

_ASK = """You keep experiences: tasks, what was answered, and what came of it. Some are new, and beside them stand those
that are known and like them. Refine them for whoever has a task like these. `prune` has the numbers of known ones that
help nobody any more: mistaken, or said better by another one. `rewrite` has known ones that say too much or too little,
with the `answer` as it ought to be kept, of at most {words} words. `hollow` has the numbers of new turns that failed
and teach nothing. Leave empty what is not needed."""
_PRUNED = "pruned"
_KINDS: tuple[Kind, ...] = ("experience",)


@dataclass(frozen=True, slots=True)
class Rewriting:
    """An experience, and the answer that it keeps from now on."""

    number: int
    answer: str


@dataclass(frozen=True, slots=True)
class Refinement:
    """What a model is asked for."""

    prune: tuple[int, ...]
    rewrite: tuple[Rewriting, ...]
    hollow: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ReMem(ExpRag):
    """Experiences that a model goes over again and again.

    At one time it sees `refined` of them and may change `changed`; one that is said anew has at most `longest` words.
    """

    name: str = "remem"
    refined: int = 10
    changed: int = 8
    longest: int = 80

    async def reflect(self, turns: Sequence[Turn], study: Study) -> Sequence[Operation]:
        """An experience per turn, and those like it refined. Without a model a failure that nobody said a word about is
        taken for hollow, and nothing is refined."""
        lived = [turn for turn in turns if turn.user_text and turn.reply_text]
        failed = [turn for turn in lived if turn.feedback and turn.feedback.outcome == "failure"]
        there = await self._like(lived, study)
        try:
            answer = await study.ask(self._prompt(lived, there), Refinement) if lived else _NOTHING
        except NoModel:
            answer, hollow = _NOTHING, [turn for turn in failed if turn.feedback and not turn.feedback.text.strip()]
        else:
            hollow = [turn for turn in picked(lived, answer.hollow) if turn in failed]
        drafts = (_pruned(experience(turn)) if turn in hollow else experience(turn) for turn in lived)
        return [*map(Insert, drafts), *map(Insert, self._refined(there, answer))]

    def rank(self, question: str, candidates: Sequence[Candidate], now: float) -> list[Hit]:
        """As exprag; what was pruned stays out, and so do the turns that it was made of."""
        pruned = [c for c in candidates if _is_pruned(c.memory)]
        gone = {source for c in pruned for source in c.memory.sources}
        left = [
            c for c in candidates if not (c.memory.kind in ("turn", "experience") and gone.issuperset(c.memory.sources))
        ]
        return [*ExpRag.rank(self, question, left, now), *(Hit(c.memory, 0.0, c.signals, _PRUNED) for c in pruned)]

    async def _like(self, lived: Sequence[Turn], study: Study) -> list[Memory]:
        """What is known of tasks like these, the most like first in turn; none of these themselves."""
        fresh = {turn.id for turn in lived}
        found = [await study.like(turn.user_text, kinds=_KINDS, limit=self.refined) for turn in lived]
        line = (c.memory for rank in zip_longest(*found) for c in rank if c is not None)
        old = {memory.id: memory for memory in line if not (_is_pruned(memory) or fresh & {*memory.sources})}
        return [*old.values()][: self.refined]

    def _prompt(self, lived: Sequence[Turn], there: Sequence[Memory]) -> str:
        lines = (
            f"[{number}] {memory.thought.outcome if memory.thought else ''} {memory.text} | {memory.reply}"
            for number, memory in enumerate(there, 1)
        )
        known = material("Known experiences:", lines)
        return f"{_ASK.format(words=self.longest)}\n\n{known}\n{told(lived)}\n{remarked(lived)}"

    def _refined(self, there: Sequence[Memory], answer: Refinement) -> list[Draft]:
        """Pruned where the model says both; said anew once."""
        anew = {one.number: " ".join(one.answer.split()[: self.longest]) for one in reversed(answer.rewrite)}
        pruned = picked(there, answer.prune)
        numbers = [number for number, text in anew.items() if text]
        rewritten = [
            replace(_as_draft(memory), reply=anew[there.index(memory) + 1])
            for memory in picked(there, numbers)
            if memory not in pruned
        ]
        return [*(_pruned(_as_draft(memory)) for memory in pruned), *rewritten][: self.changed]


_NOTHING = Refinement((), (), ())


def _as_draft(memory: Memory) -> Draft:
    """An experience as the draft that its next version begins with; see exprag.experience."""
    outcome = memory.thought.outcome if memory.thought else ""
    return Draft("experience", memory.text, memory.sources, key=memory.sources[0], reply=memory.reply, outcome=outcome)


def _pruned(draft: Draft) -> Draft:
    """Kept, and recalled no more: archived, it would leave its turn to stand for itself again."""
    return replace(draft, tags=(_PRUNED,))


def _is_pruned(memory: Memory) -> bool:
    return memory.thought is not None and _PRUNED in memory.thought.tags
