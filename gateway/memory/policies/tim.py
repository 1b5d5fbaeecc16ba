"""TiM: conclusions are kept instead of being drawn again at every question.

The idea (Think-in-Memory, arXiv 2311.08719): after an answer the model thinks about it once more, and its thoughts are
relations, (head, relation, tail), each told in one sentence. Thoughts of a bucket or a head are looked at together:
what contradicts is forgotten, what says the same is merged. docs/policies/tim.md tells what differs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.memory.policies.asking import known, material, picked, sources, told
from gateway.memory.policies.base import Study
from gateway.memory.policies.lsh import bucket
from gateway.memory.policies.verbatim import Verbatim
from gateway.memory.records import Memory, Turn
from gateway.memory.reflections import Draft, Insert, Merge, Operation, Supersede

_THINK = """Which lasting relations does the user tell of? For each, `head`, `relation` and `tail` are a few words each,
and `sentence` says the same as one sentence that can be understood alone, with names instead of pronouns and dates
instead of "yesterday". `turn` is the number of the turn that tells it. Questions are no relations, nor is small talk.
At most {most} of them, none if there are none."""
_SETTLE = """Compare what was just thought with what is remembered. `over`: pairs of a remembered number `old` that a
new one, `new`, contradicts or brings to an end. `same`: a remembered number `old` and a new one, `new`, that say the
same thing or go into one sentence without loss; `sentence` is that sentence. Leave out all others."""


@dataclass(frozen=True, slots=True)
class Triple:
    """A relation, as one sentence, and the number of the turn that tells it."""

    head: str
    relation: str
    tail: str
    sentence: str
    turn: int


@dataclass(frozen=True, slots=True)
class Thoughts:
    """What a model is asked for first."""

    thoughts: tuple[Triple, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """What is remembered, and what was just thought, by their numbers."""

    old: int
    new: int


@dataclass(frozen=True, slots=True)
class Same:
    """The same, and the sentence that says both."""

    old: int
    new: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Settled:
    """What a model is asked for then."""

    over: tuple[Pair, ...]
    same: tuple[Same, ...]


@dataclass(frozen=True, slots=True)
class Tim(Verbatim):
    """At most `most` thoughts of a batch, each in one of `buckets`; `together` are looked at for each batch."""

    name: str = "tim"
    thinks: bool = True
    most: int = 12
    buckets: int = 16
    together: int = 24

    async def reflect(self, turns: Sequence[Turn], study: Study) -> Sequence[Operation]:
        """Thoughts, each inserted, merged with one that says the same, or in the place of one that is over."""
        found = (await study.ask(f"{_THINK.format(most=self.most)}\n\n{told(turns)}", Thoughts)).thoughts[: self.most]
        drafts = await self._drafts(found, turns, study)
        near = self._near(drafts, await study.own("fact"))
        return await self._settled(drafts, near, study) if near else [Insert(draft) for draft in drafts]

    async def _drafts(self, found: Sequence[Triple], turns: Sequence[Turn], study: Study) -> list[Draft]:
        sayings = [(triple, triple.sentence.strip()) for triple in found if triple.sentence.strip()]
        vectors = await study.vectors([sentence for _, sentence in sayings])
        return [
            Draft(
                kind="fact",
                text=sentence,
                sources=sources(turns, [triple.turn]),
                tags=(_head(triple.head), f"bucket {bucket(vector, self.buckets)}"),
            )
            for (triple, sentence), vector in zip(sayings, vectors, strict=True)
        ]

    def _near(self, drafts: Sequence[Draft], own: Sequence[Memory]) -> list[Memory]:
        """What could be the same as something new, or over: of the same head first, then of the same bucket."""
        heads, buckets = {draft.tags[0] for draft in drafts}, {draft.tags[1] for draft in drafts}
        tags = [(memory, memory.thought.tags) for memory in own if memory.thought]
        same_head = [memory for memory, tag in tags if tag[0] in heads]
        same_bucket = [memory for memory, tag in tags if tag[0] not in heads and tag[1] in buckets]
        return [*same_head, *same_bucket][: self.together]

    async def _settled(self, drafts: Sequence[Draft], near: Sequence[Memory], study: Study) -> list[Operation]:
        new = material("What was just thought:", (f"[{n}] {draft.text}" for n, draft in enumerate(drafts, 1)))
        settled = await study.ask(f"{_SETTLE}\n\n{known(near)}\n{new}", Settled)
        left, gone = dict(enumerate(drafts, 1)), set[str]()
        made: list[Operation] = []
        pairs: list[Pair | Same] = [*settled.over, *settled.same]
        for pair in pairs:
            old = picked(near, [pair.old])
            if not old or old[0].id in gone or pair.new not in left:
                continue
            draft, gone = left.pop(pair.new), gone | {old[0].id}
            if isinstance(pair, Same):
                made.append(Merge((old[0].id,), replace(draft, text=pair.sentence.strip() or draft.text)))
            else:
                made.append(Supersede(old[0].id, draft))
        return [*made, *(Insert(draft) for draft in left.values())]


def _head(head: str) -> str:
    return " ".join(head.casefold().split())[:80]
