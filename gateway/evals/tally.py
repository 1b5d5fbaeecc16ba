"""What was measured, added up. Pure: exact figures from a list of answered questions; knows no gateway."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Asked:
    """One question, answered. `found` are those of `evidence` whose words stood in the prompt that the worker received;
    `tokens` were injected, `millis` added before the worker was asked."""

    conversation: str
    question: str
    category: int
    evidence: tuple[str, ...]
    found: tuple[str, ...]
    tokens: int
    millis: float
    skipped: tuple[str, ...]
    trace: str


@dataclass(frozen=True, slots=True)
class Tally:
    """Sums over questions. `found` of `evidence` turns (micro); `complete` questions had all of theirs.

    `tokens` is the mean; `p50` and `p95` are milliseconds by nearest rank.
    """

    questions: int
    evidence: int
    found: int
    complete: int
    tokens: float
    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class Replayed:
    """One conversation, replayed. `turns` took `seconds`, and after the last one `pending` turns were not indexed yet.
    `user` is whose memory it is; `skipped` has each reason and how often it came."""

    conversation: str
    user: str
    turns: int
    seconds: float
    pending: int
    skipped: Mapping[str, int]


def tally(asked: Sequence[Asked]) -> Tally:
    """The sums over some questions; all zero for none."""
    millis = [one.millis for one in asked]
    return Tally(
        questions=len(asked),
        evidence=sum(len(one.evidence) for one in asked),
        found=sum(len(one.found) for one in asked),
        complete=sum(one.found == one.evidence for one in asked),
        tokens=sum(one.tokens for one in asked) / len(asked) if asked else 0.0,
        p50=nearest_rank(millis, 0.50),
        p95=nearest_rank(millis, 0.95),
    )


def by_category(asked: Sequence[Asked]) -> dict[int, Tally]:
    """A tally for each category that occurs, in the categories' order."""
    return {kind: tally([one for one in asked if one.category == kind]) for kind in sorted({a.category for a in asked})}


def reasons(skips: Iterable[Sequence[str]]) -> dict[str, int]:
    """How often each reason for skipping was named, most frequent first."""
    return dict(Counter(reason for skipped in skips for reason in skipped).most_common())


def nearest_rank(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all values do not exceed; 0 for none."""
    return sorted(values)[max(math.ceil(share * len(values)) - 1, 0)] if values else 0.0
