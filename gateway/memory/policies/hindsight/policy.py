"""Hindsight: what is so, what was done, what is believed and who is who are four things, and links lead between them.

The idea (arXiv 2512.12818): a model makes narrative facts of what was said, about the world or of the agent's own acts,
and opinions whose confidence goes up and down with what is told later; of everybody who is named often there is one
neutral observation. Recall goes by meaning, words, links and time, and their ranks are fused. Without a model nothing
is made. docs/policies/hindsight.md tells what differs.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from gateway.memory.policies.asking import known, material, told
from gateway.memory.policies.base import Study
from gateway.memory.policies.changes import settle
from gateway.memory.policies.hindsight.entities import entities
from gateway.memory.policies.hindsight.links import Knot, activated, fused, strongest, woven
from gateway.memory.policies.hindsight.narratives import (
    OBSERVE,
    RETAIN,
    Bearing,
    Cause,
    Observations,
    Retained,
    drafts,
)
from gateway.memory.policies.verbatim import Verbatim
from gateway.memory.records import Candidate, Hit, Kind, Memory, Scope, Turn
from gateway.memory.reflections import Draft, Insert, Operation, Reinforce, Weaken
from gateway.memory.revise import thought_id
from gateway.memory.thoughts import Link

_MADE: tuple[Kind, ...] = ("fact", "experience", "opinion")
_OPINIONS, _FACTS, _LONGEST = 20, 20, 1200


class _Fact(NamedTuple):
    """Of the world or of the agent's acts, remembered already or about to be."""

    id: str
    text: str
    sources: tuple[str, ...]
    about: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hindsight(Verbatim):
    """Of a turn at most `a_turn` facts are kept. `step` is how far one bearing moves a confidence; what is believed
    less than `held` is not shown, less than `sure` with a "perhaps". An entity is observed from `observed` facts on,
    `at_once` of them a batch. Links: `sigma` in hours, `alike` a cosine, `most` of a sort. `reached` memories that only
    links speak for are shown, none whose activation is below `active`; `k` is the fusion's."""

    name: str = "hindsight"
    thinks: bool = True
    follows: float = 0.8
    a_turn: int = 5
    step: float = 0.1
    held: float = 0.3
    sure: float = 0.6
    observed: int = 2
    at_once: int = 6
    sigma: float = 24.0
    alike: float = 0.7
    most: int = 5
    reached: int = 3
    active: float = 0.3
    k: int = 60

    async def reflect(self, turns: Sequence[Turn], study: Study) -> Sequence[Operation]:
        """Facts with their links, opinions moved, observations of those about whom something is new."""
        own = await study.own(*_MADE)
        opinions = [memory for memory in own if memory.kind == "opinion"][-_OPINIONS:]
        prompt = f"{RETAIN}\n\n{known(opinions, 'Opinions held:')}\n{told(turns)}"
        answer = await study.ask(prompt, Retained)
        found = drafts(answer.facts, turns, entities(own), self.a_turn)
        linked = await self._linked(found, answer.causes, turns, own, study)
        observed = await self._observed(linked, turns[0].scope, own, study)
        return [*self._moved(answer.bearings, opinions), *(Insert(draft) for draft in linked), *observed]

    def rank(self, question: str, candidates: Sequence[Candidate], now: float) -> list[Hit]:
        """By fused ranks; the ranker stands where the paper has a cross-encoder, and says what stays out. What links
        lead to from what it lets in comes along."""
        hits = Verbatim.rank(self, question, [c for c in candidates if "links" not in c.signals], now)
        hits += [Hit(c.memory, 0.0, c.signals, "far off") for c in candidates if "links" in c.signals]
        hits = self._along(hits)
        points = fused(self._arms(question, hits, now), self.k)
        hits = [self._believed(replace(hit, score=round(points.get(hit.memory.id, 0.0), 6))) for hit in hits]
        return settle(sorted(hits, key=lambda hit: (-hit.score, -hit.memory.at, hit.memory.id)))

    def _along(self, hits: Sequence[Hit]) -> list[Hit]:
        """The same hits with what reaches each over links from those that enter the prompt; the few that most reaches
        enter it too."""
        seeds = {hit.memory.id: max(hit.signals.get("dense_turn", 0.0), 0.0) for hit in hits if not hit.dropped}
        links = {hit.memory.id: hit.memory.thought.links if hit.memory.thought else () for hit in hits}
        reached = activated(seeds, links, self.follows)
        nearest = sorted((-active, id) for id, active in reached.items() if active >= self.active)
        entering = {id for _, id in nearest[: self.reached]}
        return [
            replace(
                hit,
                signals={**hit.signals, "links": round(reached[id], 4)} if id in reached else hit.signals,
                dropped="" if id in entering else hit.dropped,
            )
            for hit in hits
            for id in (hit.memory.id,)
        ]

    def _arms(self, question: str, hits: Sequence[Hit], now: float) -> list[dict[str, float]]:
        """What each of the four says of those it found."""
        arms = [
            {hit.memory.id: hit.signals[name] for hit in hits if hit.signals.get(name, 0.0) > 0}
            for name in ("dense_turn", "bm25_turn", "links")
        ]
        periods = self.times(question, now).periods
        timely = {hit.memory.id: max((_within(hit.memory, *p) for p in periods), default=0.0) for hit in hits}
        return [*arms, {id: score for id, score in timely.items() if score > 0}]

    def _believed(self, hit: Hit) -> Hit:
        thought = hit.memory.thought
        if hit.memory.kind != "opinion" or thought is None or thought.confidence >= self.sure:
            return hit
        if thought.confidence < self.held:
            return replace(hit, dropped=hit.dropped or "hardly believed")
        return replace(hit, memory=replace(hit.memory, thought=replace(thought, title="perhaps")))

    async def _linked(
        self,
        found: Mapping[int, Draft],
        causes: Sequence[Cause],
        turns: Sequence[Turn],
        own: Sequence[Memory],
        study: Study,
    ) -> list[Draft]:
        """The same, linked to each other, to what is remembered, and to the observations of those they are about, which
        lead on to everything else about those. A link to what is not there leads nowhere."""
        scope, at = turns[0].scope, {turn.id: turn.at for turn in turns}
        ids = {number: thought_id(scope, self.name, draft) for number, draft in found.items()}
        knots = {n: _knot(ids[n], d.occurred, at[d.sources[-1]], d.tags) for n, d in found.items()}
        there = [_knot(m.id, m.thought.occurred, m.at, m.thought.tags) for m in own if m.thought]
        linked = []
        for number, draft in found.items():
            ends = {cause.effect if cause.cause == number else cause.cause for cause in _of(causes, number)}
            like = await study.like(draft.text, kinds=_MADE, limit=self.most)
            near = [(c.memory.id, c.signals.get("dense_turn", 0.0)) for c in like]
            links = strongest(
                [
                    *(Link(ids[end], "causal") for end in sorted(ends) if end in ids),
                    *(Link(self._observation(scope, name), "entity") for name in draft.tags),
                    *woven(knots[number], [*there, *knots.values()], self.sigma * 3600, self.most),
                    *(Link(id, "semantic", min(cosine, 1.0)) for id, cosine in near if cosine >= self.alike),
                ]
            )
            linked.append(replace(draft, links=links))
        return linked

    def _moved(self, bearings: Sequence[Bearing], opinions: Sequence[Memory]) -> list[Operation]:
        """Each opinion once, however often it is named: c + a, c - a, or c - 2a."""
        first = {bearing.opinion: bearing.effect for bearing in reversed(bearings)}
        moved: list[Operation] = []
        for number, opinion in enumerate(opinions, 1):
            match first.get(number):
                case "reinforce":
                    moved.append(Reinforce(opinion.id, self.step, "confidence"))
                case "weaken":
                    moved.append(Weaken(opinion.id, self.step))
                case "contradict":
                    moved.append(Weaken(opinion.id, 2 * self.step))
        return moved

    async def _observed(
        self, linked: Sequence[Draft], scope: Scope, own: Sequence[Memory], study: Study
    ) -> list[Insert]:
        """One observation per entity, made anew of what is known of it by now, the latest facts."""
        new = [d for d in linked if d.kind != "opinion"]
        facts = {m.id: _Fact(m.id, m.text, m.sources, m.thought.tags) for m in own if m.thought and m.kind != "opinion"}
        fresh = [_Fact(thought_id(scope, self.name, d), d.text, d.sources, d.tags) for d in new]
        facts |= {fact.id: fact for fact in fresh if fact.id not in facts}
        named = Counter(name for fact in fresh for name in fact.about)
        groups = [(name, [fact for fact in facts.values() if name in fact.about]) for name, _ in named.most_common()]
        groups = [(name, group[-_FACTS:]) for name, group in groups if len(group) >= self.observed][: self.at_once]
        if not groups:
            return []
        parts = [material(f"About {n}, {name}:", [f.text for f in group]) for n, (name, group) in enumerate(groups, 1)]
        answer = await study.ask("\n".join([OBSERVE, "", *parts]), Observations)
        texts = {one.about: one.text.strip()[:_LONGEST] for one in answer.descriptions}
        made = [(texts.get(number, ""), name, group) for number, (name, group) in enumerate(groups, 1)]
        return [Insert(_observation(text, name, group)) for text, name, group in made if text]

    def _observation(self, scope: Scope, name: str) -> str:
        """The id of an entity's observation, whether there is one yet or not."""
        return thought_id(scope, self.name, _observation("", name, ()))


def _observation(text: str, name: str, facts: Sequence[_Fact]) -> Draft:
    return Draft(
        kind="observation",
        text=text,
        sources=tuple(dict.fromkeys(source for fact in facts for source in fact.sources)),
        key=name.casefold(),
        tags=(name,),
        links=tuple(Link(fact.id, "entity") for fact in facts),
    )


def _of(causes: Sequence[Cause], number: int) -> list[Cause]:
    """Those that a fact is the one or the other end of, but not both."""
    return [cause for cause in causes if number in (cause.cause, cause.effect) and cause.cause != cause.effect]


def _knot(id: str, occurred: tuple[float, float] | None, at: float, tags: Sequence[str]) -> Knot:
    return Knot(id, occurred[0] if occurred else at, frozenset(tags))


def _within(memory: Memory, start: float, end: float) -> float:
    """How near to the middle of a period it happened, or was said: 1 there, 0 at its ends and beyond."""
    occurred = memory.thought.occurred if memory.thought else None
    middle = sum(occurred) / 2 if occurred else memory.at
    return max(1 - abs(middle - (start + end) / 2) / max((end - start) / 2, 1.0), 0.0)
