"""One question's marks: where its gold turns stand among the hits, and which of them would enter a prompt. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.evals.recall.sample import Question, origin
from gateway.memory import compose
from gateway.memory.records import Hit

DEPTH = 10
BUDGETS = (2000, 1200)
"""Tokens of an injection; the last one is also what silence is measured with."""
_SHOWN, _SHOWN_CHARS = 3, 300


@dataclass(frozen=True, slots=True)
class Marks:
    """`ranks` has each gold turn's rank from 1, by the file's name for it (None: not found), `session_ranks` the same
    for gold sessions; `injected` and `tokens` are by budget: how many gold turns, and what the whole text costs."""

    conversation: str
    number: int
    question: str
    category: str
    ranks: Mapping[str, int | None]
    session_ranks: Mapping[str, int | None]
    injected: Mapping[str, int]
    tokens: Mapping[str, int]
    millis: float
    top: Sequence[Mapping[str, Any]] = field(default=())


def mark(
    conversation: str, number: int, question: Question, labels: Mapping[str, str], hits: Sequence[Hit], millis: float
) -> Marks:
    """The marks of the `number`th question, from what recall found for it, best first."""
    turns = ranked([origin(hit.memory, labels) for hit in hits])
    sessions = ranked([hit.memory.session for hit in hits])
    injected, tokens = {}, {}
    for budget in BUDGETS:
        fitted = compose.fit(hits, (), budget, "", frozenset())
        entered = set(fitted.memories)
        shown = {origin(hit.memory, labels) for hit in hits if hit.memory.id in entered}
        injected[str(budget)] = len(shown & set(question.gold))
        tokens[str(budget)] = fitted.tokens
    return Marks(
        conversation=conversation,
        number=number,
        question=question.text,
        category=question.category,
        ranks={labels[id]: turns.get(id) for id in question.gold},
        session_ranks={session: sessions.get(session) for session in question.sessions},
        injected=injected,
        tokens=tokens,
        millis=round(millis, 3),
        top=[_shown(hit, labels) for hit in hits[:_SHOWN]],
    )


def cost(hits: Sequence[Hit]) -> int:
    """Tokens that would be injected for these hits within the smallest budget."""
    return compose.fit(hits, (), BUDGETS[-1], "", frozenset()).tokens


def ranked(names: Sequence[str]) -> dict[str, int]:
    """Each name's rank from 1 among the distinct ones, by where it comes first."""
    return {name: rank for rank, name in enumerate(dict.fromkeys(names), 1)}


def within(ranks: Mapping[str, int | None], limit: int) -> int:
    """How many have a rank of at most `limit`."""
    return sum(rank is not None and rank <= limit for rank in ranks.values())


def ndcg(ranks: Mapping[str, int | None], limit: int) -> float:
    """Normalised discounted cumulative gain at `limit`, every gold turn being worth the same (Järvelin & Kekäläinen
    2002); 0 where there is no gold."""
    gain = sum(1 / math.log2(rank + 1) for rank in ranks.values() if rank is not None and rank <= limit)
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(len(ranks), limit) + 1))
    return gain / ideal if ideal else 0.0


def _shown(hit: Hit, labels: Mapping[str, str]) -> dict[str, Any]:
    id = origin(hit.memory, labels)
    return {
        "turn": labels.get(id, id),
        "text": hit.memory.text[:_SHOWN_CHARS],
        "score": hit.score,
        "signals": {name: round(float(value), 4) for name, value in hit.signals.items()},
        "dropped": hit.dropped,
    }
