"""ViLoMem: mistakes to avoid, those of reasoning and those of seeing kept apart from each other and from facts.

The idea (arXiv 2511.21678): once an answer turned out wrong, the mistake is attributed to one of two streams and told
as a guideline of a sentence or two; one that is like a guideline of its stream is merged with it, else it is a new one;
a few of them stand in the next prompt. Nothing is learned here from an answer that nobody called a failure.
docs/policies/vilomem.md tells what differs.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from gateway.memory.policies.asking import known, material, picked, remarked, told
from gateway.memory.policies.base import Study
from gateway.memory.policies.verbatim import Verbatim
from gateway.memory.records import Candidate, Hit, Kind, Memory, Turn
from gateway.memory.reflections import Draft, Forget, Insert, Merge, Operation

_ATTRIBUTE = """These answers were wrong. Find out what went wrong in each: `stream` is visual where something in a
picture was overlooked or misread, and logical where what was known was reasoned about wrongly. `guideline` begins with
when it applies, and says in one or two sentences what to look at or to do instead; it is for other questions, and never
tells an answer. `turns` has the numbers of the answers that it would have helped. One guideline for each mistake."""
_MERGE = "Say these guidelines as one, in one or two sentences that keep what each of them warns of."
_TITLES = {"logical": "reasoning", "visual": "seeing"}
_MOST, _LONGEST, _SENTENCES = 6, 320, 2
_KINDS: tuple[Kind, ...] = ("error",)
_SENTENCE = re.compile(r"(?<=[.!?…。！？])\s+")

Stream = Literal["logical", "visual"]


@dataclass(frozen=True, slots=True)
class Mistake:
    """What went wrong, and how not to do it again."""

    turns: tuple[int, ...]
    stream: Stream
    guideline: str


@dataclass(frozen=True, slots=True)
class Mistakes:
    """What a model is asked for."""

    mistakes: tuple[Mistake, ...]


@dataclass(frozen=True, slots=True)
class Guideline:
    """And where two are one."""

    guideline: str


@dataclass(frozen=True, slots=True)
class ViLoMem(Verbatim):
    """Guidelines against mistakes, those of reasoning and those of seeing apart.

    Two of one stream are merged from a cosine of `merges` on (0.7 in the paper, by another embedder); `shown` are told
    at the most, and none that is less like the question than `alike`.
    """

    name: str = "vilomem"
    thinks: bool = True
    merges: float = 0.7
    shown: int = 3
    alike: float = 0.2

    async def reflect(self, turns: Sequence[Turn], study: Study) -> Sequence[Operation]:
        """Guidelines from what was told to have failed. What rests on these turns alone is made anew, and is gone where
        they are no failures any more."""
        failed = [turn for turn in turns if turn.feedback and turn.feedback.outcome == "failure"]
        touched = {turn.id for turn in turns}
        stale = {memory.id for memory in await study.own("error") if touched.issuperset(memory.sources)}
        made: list[Operation] = [Forget(id) for id in sorted(stale)]
        if not failed:
            return made
        pictures = [f"[{n}] has {len(turn.media)}" for n, turn in enumerate(failed, 1) if turn.media]
        seen = f"\n{material('Pictures and videos:', pictures)}" if pictures else ""
        answer = await study.ask(f"{_ATTRIBUTE}\n\n{told(failed)}\n{remarked(failed)}{seen}", Mistakes)
        for mistake in answer.mistakes[:_MOST]:
            draft = _draft(mistake, picked(failed, mistake.turns) or failed)
            like = await self._like(draft, stale, study) if draft.text else None
            if like is None:
                made.append(Insert(draft))
                continue
            stale.add(like.id)  # merged once: the next one like it would not find it any more
            made.append(Merge((like.id,), await _joined(like, draft, study)))
        return made

    def rank(self, question: str, candidates: Sequence[Candidate], now: float) -> list[Hit]:
        """The guidelines most like the question, then what was said, as verbatim."""
        errors = [c for c in candidates if c.memory.kind == "error"]
        hits = [Hit(c.memory, round(c.signals.get("dense_turn", 0.0), 4), c.signals) for c in errors]
        hits.sort(key=lambda hit: (-hit.score, hit.memory.id))
        fit = [hit for hit in hits if hit.score >= self.alike]
        rest = [replace(hit, dropped="of another question") for hit in hits if hit.score < self.alike]
        more = [replace(hit, dropped="enough shown") for hit in fit[self.shown :]]
        said = Verbatim.rank(self, question, [c for c in candidates if c.memory.kind != "error"], now)
        return [*fit[: self.shown], *said, *more, *rest]

    async def _like(self, draft: Draft, but: set[str], study: Study) -> Memory | None:
        for candidate in await study.like(draft.text, kinds=_KINDS):
            thought = candidate.memory.thought
            near = candidate.signals.get("dense_turn", 0.0) >= self.merges
            if near and candidate.memory.id not in but and thought and thought.tags == draft.tags:
                return candidate.memory
        return None


def _draft(mistake: Mistake, turns: Sequence[Turn]) -> Draft:
    """What nobody showed cannot have been misread: without a picture it is a mistake of reasoning."""
    stream: Stream = "visual" if mistake.stream == "visual" and any(turn.media for turn in turns) else "logical"
    ids = tuple(turn.id for turn in turns)
    return Draft("error", _short(mistake.guideline), ids, title=_TITLES[stream], tags=(stream,))


async def _joined(like: Memory, draft: Draft, study: Study) -> Draft:
    there = known([like], "Known:")
    fresh = material("New:", [draft.text])
    answer = await study.ask(f"{_MERGE}\n\n{there}\n{fresh}", Guideline)
    return replace(draft, text=_short(answer.guideline) or draft.text)


def _short(text: str) -> str:
    """One or two sentences."""
    return " ".join(_SENTENCE.split(text[: 4 * _LONGEST].strip())[:_SENTENCES])[:_LONGEST]
