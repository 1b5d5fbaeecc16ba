"""SCM: the previous turn always stands by, and what is long is told in fewer words before it is left out.

The idea (Self-Controlled Memory, arXiv 2304.13343): a controller asks whether the input needs memory, and whether a
summary is enough; under a budget a memory goes down a ladder, whole, summarised, dropped. Here the ranker's gate is
the first question and composing under the budget the second; reflection writes the summaries that the ladder needs,
with a model, or without one by the sentences that hold most of what is said. docs/policies/scm.md tells what differs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.errors import NoModel
from gateway.memory.budget import tokens
from gateway.memory.policies.asking import told
from gateway.memory.policies.base import Study
from gateway.memory.policies.extracts import extract
from gateway.memory.policies.verbatim import Verbatim
from gateway.memory.records import Candidate, Hit, Times, Turn
from gateway.memory.reflections import Gist, Operation

_ASK = """Summarise this turn for someone who will be asked about it later. Keep names, numbers, dates, decisions.
`user` tells what the user said and `assistant` what was answered, each in at most {words} words."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a model is asked for."""

    user: str
    assistant: str


@dataclass(frozen=True, slots=True)
class Scm(Verbatim):
    """`long_tokens` is from where a turn is summarised (300 in the paper's code), to `short_words` words."""

    name: str = "scm"
    thinks: bool = True
    long_tokens: int = 300
    short_words: int = 60

    def times(self, question: str, now: float) -> Times:
        """What the question names; and the last turn, whatever it names."""
        asked = Verbatim.times(self, question, now)
        return asked if asked.end else replace(asked, end="last")

    def rank(self, question: str, candidates: Sequence[Candidate], now: float) -> list[Hit]:
        """As verbatim; the turn before this one stands by even if it would have been cut."""
        hits = Verbatim.rank(self, question, candidates, now)
        turns = [candidate.memory for candidate in candidates if candidate.memory.kind == "turn"]
        last = max(turns, key=lambda memory: (memory.at, memory.seq), default=None)
        return sorted(
            (replace(hit, dropped="") if last and hit.memory.id == last.id else hit for hit in hits),
            key=lambda hit: last is None or hit.memory.id != last.id,
        )

    async def reflect(self, turns: Sequence[Turn], study: Study) -> Sequence[Operation]:
        """A summary beside every long turn. A message in several pieces has one of its own for each."""
        made: list[Operation] = []
        for turn in turns:
            if tokens(turn.user_text) + tokens(turn.reply_text) < self.long_tokens:
                continue
            memories = self.keep(turn)
            if len(memories) == 1:
                made.append(Gist(turn.id, await self._summary(turn, study)))
            else:
                made += [Gist(memory.id, extract(memory.text, self.short_words)) for memory in memories]
        return made

    async def _summary(self, turn: Turn, study: Study) -> str:
        half = self.short_words // 2
        try:
            summary = await study.ask(f"{_ASK.format(words=half)}\n\n{told([turn])}", Summary)
        except NoModel:
            return " ".join(filter(None, (extract(turn.user_text, half), extract(turn.reply_text, half))))
        return " ".join(filter(None, (summary.user.strip(), summary.assistant.strip())))
