"""ExpRAG: what was tried before at tasks like this one, what came of it, and whether it was good.

The idea (Evo-Memory, arXiv 2511.20857): keep task, answer and feedback of every turn, and show the few whose task is
most like the one at hand. Needs no model. docs/policies/exprag.md tells what differs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.memory.policies.base import Study
from gateway.memory.policies.verbatim import Verbatim
from gateway.memory.records import Candidate, Hit, Turn
from gateway.memory.reflections import Draft, Insert, Operation

_TASK, _ANSWER = 600, 1400


@dataclass(frozen=True, slots=True)
class ExpRag(Verbatim):
    """`shown` experiences at the most (4 in the paper), and none whose task is less alike than `alike` (a cosine)."""

    name: str = "exprag"
    thinks: bool = True
    shown: int = 4
    alike: float = 0.35

    async def reflect(self, turns: Sequence[Turn], study: Study) -> Sequence[Operation]:
        """An experience per turn; told of how it did, the next version of the same one."""
        return [Insert(experience(turn)) for turn in turns if turn.user_text and turn.reply_text]

    def rank(self, question: str, candidates: Sequence[Candidate], now: float) -> list[Hit]:
        """By how alike the tasks are, what succeeded first among equals. A turn stands for itself until its experience
        is there; captions come after both, as the ranker judges them."""
        made = {source for c in candidates if c.memory.kind == "experience" for source in c.memory.sources}
        turns = [c for c in candidates if c.memory.kind == "turn" and not made.issuperset(c.memory.sources)]
        lived = [c for c in candidates if c.memory.kind == "experience"] + turns
        others = [c for c in candidates if c.memory.kind in ("note", "caption")]
        hits = [Hit(c.memory, round(c.signals.get("dense_turn", 0.0), 4), c.signals) for c in lived]
        hits.sort(key=lambda hit: (-hit.score, -_luck(hit), hit.memory.id))
        judged = [
            replace(hit, dropped="another task") if hit.score < self.alike else replace(hit, dropped="enough shown")
            for hit in hits
        ]
        fit = [hit for hit in hits if hit.score >= self.alike][: self.shown]
        ids = {hit.memory.id for hit in fit}
        beside = Verbatim.rank(self, question, others, now)
        notes = [hit for hit in beside if hit.memory.kind == "note"]
        captions = [hit for hit in beside if hit.memory.kind == "caption"]
        return [*notes, *fit, *captions, *(hit for hit in judged if hit.memory.id not in ids)]


def experience(turn: Turn) -> Draft:
    """A turn as something that was tried: the task, what was answered, and what was said of the answer."""
    told = turn.feedback
    remark = f" Told of it: {told.text.strip()}" if told and told.text.strip() else ""
    score = f" Score: {told.score:g}." if told and told.score is not None else ""
    return Draft(
        kind="experience",
        text=turn.user_text[:_TASK],
        reply=f"{turn.reply_text[:_ANSWER]}{score}{remark}",
        sources=(turn.id,),
        key=turn.id,
        outcome=told.outcome if told else "",
    )


def _luck(hit: Hit) -> int:
    outcome = hit.memory.thought.outcome if hit.memory.thought else ""
    return {"success": 1, "failure": -1}.get(outcome, 0)
