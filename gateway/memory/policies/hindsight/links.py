"""Which memories belong together, and in what order several rankings agree. Pure; the rules of Hindsight
(arXiv 2512.12818): the same entity 1, time e^(-dt / sigma), likeness from a threshold on, cause and effect 1; and
reciprocal rank fusion."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gateway.memory.thoughts import Link

_FAINT = 0.1  # recall follows no weaker link


@dataclass(frozen=True, slots=True)
class Knot:
    """A memory as links see it: its id, when it happened (seconds since the epoch), and what it is about."""

    id: str
    at: float
    about: frozenset[str]


def woven(knot: Knot, others: Sequence[Knot], sigma: float, most: int) -> list[Link]:
    """To at most `most` of the same entity and as many of the same time, nearest in time first; `sigma` in seconds."""
    near = sorted((o for o in others if o.id != knot.id), key=lambda o: (abs(o.at - knot.at), o.id))
    same = [Link(o.id, "entity") for o in near if o.about & knot.about]
    weights = ((o, math.exp(-abs(o.at - knot.at) / sigma)) for o in near[:most])
    return [*same[:most], *(Link(o.id, "temporal", weight) for o, weight in weights if weight >= _FAINT)]


def strongest(links: Iterable[Link]) -> tuple[Link, ...]:
    """One link to each, the strongest; of equals the first."""
    best: dict[str, Link] = {}
    for link in links:
        if link.to not in best or link.weight > best[link.to].weight:
            best[link.to] = link
    return tuple(best.values())


def activated(
    seeds: Mapping[str, float], links: Mapping[str, Sequence[Link]], follows: float, hops: int = 2
) -> dict[str, float]:
    """Spreading activation: what reaches each memory, seeds aside, along the strongest way from one of them. Each step
    carries on the share `follows`, times the link's weight; only memories that `links` names are reached."""
    reached, frontier = dict(seeds), [*seeds]
    for _ in range(hops):
        come: dict[str, float] = {}
        for id in frontier:
            for link in links.get(id, ()):
                come[link.to] = max(come.get(link.to, 0.0), reached[id] * link.weight * follows)
        fresh = {id: active for id, active in come.items() if id in links and active > reached.get(id, 0.0)}
        reached, frontier = reached | fresh, [*fresh]
    return {id: active for id, active in reached.items() if id not in seeds}


def fused(arms: Sequence[Mapping[str, float]], k: int = 60) -> dict[str, float]:
    """Reciprocal rank fusion: the sum of 1 / (k + rank) over the arms that found it. Each arm maps ids to scores, and
    the greatest score has rank 1; equal scores have the same rank."""
    points: defaultdict[str, float] = defaultdict(float)
    for arm in arms:
        ranks = {score: rank for rank, score in enumerate(sorted({*arm.values()}, reverse=True), 1)}
        for id, score in arm.items():
            points[id] += 1 / (k + ranks[score])
    return dict(points)
