"""Verbatim: keep the raw turn, recall by meaning and by words, of the turn and of its neighbourhood. No model needed.

The idea: a turn such as "Yes, last May!" answers a question only together with what stands around it, so every turn is
indexed twice, alone and with its neighbours, each as a dense vector and as BM25. The four scores are fused; an absolute
gate decides which of them may enter the prompt, so that an unrelated question injects nothing.
"""

import math
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.memory.policies.pieces import pieces
from gateway.memory.records import Candidate, Hit, Memory, Turn

SIGNALS = ("dense_turn", "dense_near", "bm25_turn", "bm25_near")


@dataclass(frozen=True, slots=True)
class Verbatim:
    """The default policy."""

    name: str = "verbatim"
    width: int = 120
    radius: int = 2
    piece_chars: int = 900

    def keep(self, turn: Turn) -> tuple[Memory, ...]:
        """One memory per turn; a long message becomes several, each whole in itself."""
        texts = pieces(turn.user_text, self.piece_chars) or [""]
        return tuple(
            Memory(
                id=turn.id if i == 0 else str(uuid.uuid5(uuid.UUID(turn.id), str(i))),
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

    def near(self, memory: Memory, before: Sequence[Memory], after: Sequence[Memory]) -> str:
        """The turns around it in the order they were said; its own reply, but not those of others."""
        own = f"{memory.text}\n{memory.reply}" if memory.reply else memory.text
        return "\n".join([*(m.text for m in before), own, *(m.text for m in after)])

    def rank(self, question: str, candidates: Sequence[Candidate], now: float) -> list[Hit]:
        """Fused by the sum of standard scores; cut where the absolute evidence is too weak."""
        fused = fuse(candidates)
        hits = [
            Hit(
                candidate.memory,
                round(score, 4),
                candidate.signals,
                "" if evidence(candidate) >= 0 else "weak evidence",
            )
            for candidate, score in zip(candidates, fused, strict=True)
        ]
        return sorted(hits, key=lambda hit: (-hit.score, hit.memory.id))


def evidence(candidate: Candidate) -> float:
    """How much the candidate has to do with the question; below 0 it stays out."""
    return 1.0


def fuse(candidates: Sequence[Candidate]) -> list[float]:
    """Sum over the signals of each one's z-score; a signal that did not find a candidate counts as its lowest."""
    totals = [0.0] * len(candidates)
    for signal in SIGNALS:
        found = [c.signals[signal] for c in candidates if signal in c.signals]
        if not found:
            continue
        floor = 0.0 if signal.startswith("bm25") else min(found)
        column = [c.signals.get(signal, floor) for c in candidates]
        mean = sum(column) / len(column)
        spread = math.sqrt(sum((x - mean) ** 2 for x in column) / len(column)) or 1.0
        for i, x in enumerate(column):
            totals[i] += (x - mean) / spread
    return totals
