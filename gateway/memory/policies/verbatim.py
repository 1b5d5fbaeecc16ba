"""Verbatim: keep the raw turn, recall by meaning and by words, of the turn and of its neighbourhood. No model needed.

The idea: a turn such as "Yes, last May!" answers a question only together with what stands around it, so every turn is
indexed twice, alone and with its neighbours, each as a dense vector and as BM25. A linear ranker fuses the four scores
with what the texts show; its gate keeps silent when a question has nothing to do with what is remembered.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from gateway.memory.derived import Derived
from gateway.memory.policies.base import Study
from gateway.memory.policies.changes import settle
from gateway.memory.policies.pieces import pieces
from gateway.memory.policies.ranker import Weights, judge
from gateway.memory.policies.ranker.moments import wanted
from gateway.memory.policies.ranker.texts import Told, told
from gateway.memory.records import Candidate, Hit, Memory, Times, Turn
from gateway.memory.reflections import Operation
from gateway.memory.words import Words


@dataclass(frozen=True, slots=True)
class Verbatim:
    """The default policy."""

    name: str = "verbatim"
    keeps: bool = True
    thinks: bool = False
    follows: float = 0.0
    width: int = 60
    radius: int = 2
    blend: tuple[float, ...] = (2.0, 1.0, 0.5)
    piece_chars: int = 900
    weights: Weights = field(default_factory=Weights)
    words: Words = field(default_factory=Words.none, repr=False, compare=False)
    _read: Derived[Told] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_read", Derived(lambda memory: told(memory.text, self.words)))

    @classmethod
    def over(cls, words: Words) -> Self:
        """As it comes."""
        return cls(words=words)

    def keep(self, turn: Turn) -> tuple[Memory, ...]:
        """One memory per turn; a long message becomes several, each whole in itself. Their ids count up from the
        turn's, so that they stand in a session's line in the order they were said."""
        texts = pieces(turn.user_text, self.piece_chars) or [""]
        return tuple(
            Memory(
                id=turn.id if i == 0 else str(uuid.UUID(int=(uuid.UUID(turn.id).int + i) % 2**128)),
                scope=turn.scope,
                session=turn.session,
                text=text,
                reply=turn.reply_text if i == len(texts) - 1 else "",
                at=turn.at,
                updated=turn.at,
                seq=turn.seq,
                sources=(turn.id,),
            )
            for i, text in enumerate(texts)
        )

    async def reflect(self, turns: Sequence[Turn], study: Study) -> Sequence[Operation]:
        """Nothing."""
        return ()

    def near(self, memory: Memory, before: Sequence[Memory], after: Sequence[Memory]) -> str:
        """The turns around it in the order they were said; its own reply, but not those of others."""
        own = f"{memory.text}\n{memory.reply}" if memory.reply else memory.text
        return "\n".join([*(m.text for m in before), own, *(m.text for m in after)])

    def times(self, question: str, now: float) -> Times:
        """What the question names."""
        return wanted(question, now)

    def rank(self, question: str, candidates: Sequence[Candidate], now: float) -> list[Hit]:
        """By the ranker; silent where nothing here helps the question. A correction stands before what it corrects."""
        return settle(judge(question, candidates, self.weights, now, self.words, self._read))
