"""MemOS: a memory has a life: generated, activated where it is called upon, merged, archived, and brought back.

The idea (MemCube, arXiv 2507.03724): what is asked for often is promoted to where it costs least, and leaves again when
it grows cold. Here that place is the head of every new conversation: what is hot is pinned. What was said is evidence
and stays as it is, so of a hot turn a copy is pinned. All but merging goes by rules. docs/policies/memos.md tells
which field of a MemCube is what, and what differs.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress

import numpy as np

from gateway.errors import NoModel
from gateway.memory.policies.asking import material
from gateway.memory.policies.base import Study
from gateway.memory.policies.fading import DAY
from gateway.memory.policies.verbatim import Verbatim
from gateway.memory.records import Candidate, Hit, Memory, Turn
from gateway.memory.reflections import Archive, Draft, Forget, Insert, Operation, Reinforce, Restore
from gateway.memory.thoughts import Link, Use
from gateway.memory.wary import sign

_MERGE = """Which of these pairs say the same, or go into one sentence without loss? `pair` is the number, `sentence`
that sentence, which keeps every name, number and date of both. Leave out all others."""
_COPY, _MERGED, _HOT = "copy", "merged", "hot"
_NUMBERS = re.compile(r"\d+")
_LONGEST, _AT_ONCE = 2000, 500


@dataclass(frozen=True, slots=True)
class One:
    """The sentence that says both of a pair."""

    pair: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Merges:
    """What a model is asked for."""

    merges: tuple[One, ...]


@dataclass(frozen=True, slots=True)
class Memos(Verbatim):
    """A memory's heat is how often it was called upon, half of it gone after `half_life` days. From `hot` on it is
    pinned, at most `most` are, and it leaves below `cold`. A turn calls upon a pinned one if its cosine is `asks`, for
    that stands in every prompt. What was called upon last, or said, `ttl` days ago is archived. Memories of cosine
    `alike` are merged, at most `merges` pairs a batch."""

    name: str = "memos"
    thinks: bool = True
    hot: float = 3.0
    cold: float = 1.0
    half_life: float = 7.0
    most: int = 5
    ttl: float = 365.0
    asks: float = 0.4
    alike: float = 0.85
    merges: int = 4

    async def reflect(self, turns: Sequence[Turn], study: Study) -> Sequence[Operation]:
        """Strengthened by use, brought back, merged, promoted or demoted, archived."""
        own = await study.own("fact")
        standing = {_origin(memory): memory for memory in own if _is(memory, _HOT)}
        used = await self._used(turns, standing, study)
        ids = dict.fromkeys((*used, *(turn.id for turn in turns), *standing))
        known = {memory.id: memory for memory in await study.get([*ids]) if memory.kind != "note"}
        back = [memory.id for memory in known.values() if memory.status == "archived" and memory.id not in standing]
        merged = await self._merged(turns, own, study)
        there = [memory for memory in known.values() if memory.status == "active" or memory.id in back]
        hottest = self._hottest(there, used, standing, max(turn.at for turn in turns))
        chosen = {memory.id for memory in hottest}
        return [
            *(Restore(id) for id in back),
            *(Reinforce(id) for id in used.elements() if id in known),
            *(_pinned(memory) for memory in hottest if _key(memory) not in {op.draft.key for op in merged}),
            *(_demoted(memory) for origin, memory in standing.items() if origin not in chosen),
            *merged,
            *self._over([*await study.said(), *own], ids, study.now),
        ]

    def rank(self, question: str, candidates: Sequence[Candidate], now: float) -> list[Hit]:
        """As verbatim. Copies stand in the prompt's head already, and what was merged into a hit is told by it."""
        hits = Verbatim.rank(self, question, [c for c in candidates if not _is(c.memory, _COPY)], now)
        told = {id for hit in hits if not hit.dropped and _is(hit.memory, _MERGED) for id in _links(hit.memory)}
        return [replace(hit, dropped="merged") if hit.memory.id in told and not hit.dropped else hit for hit in hits]

    def heat(self, memory: Memory, used: int, at: float) -> float:
        """At a moment (seconds since the epoch), after `used` more uses at that moment."""
        use = memory.use or Use()
        last = max(use.last, at) if used else use.last
        return float((use.count + used) * 0.5 ** (max(at - last, 0.0) / (self.half_life * DAY)))

    async def _used(self, turns: Sequence[Turn], standing: Mapping[str, Memory], study: Study) -> Counter[str]:
        """How often each memory was called upon, once a turn: recalled, or, where it stands in prompts anyway, asked
        about."""
        pinned, asking = {memory.id for memory in standing.values()}, [turn for turn in turns if turn.user_text.strip()]
        asked: dict[str, list[str]] = {}
        if standing and asking:
            texts = [*(turn.user_text[:_LONGEST] for turn in asking), *(memory.text for memory in standing.values())]
            vectors = np.asarray(await study.vectors(texts))
            alike = vectors[: len(asking)] @ vectors[len(asking) :].T >= self.asks
            asked = {turn.id: [*compress(standing, row)] for turn, row in zip(asking, alike, strict=True)}
        called = ([*(id for id in turn.recalled if id not in pinned), *asked.get(turn.id, ())] for turn in turns)
        return Counter(id for ids in called for id in dict.fromkeys(ids))

    def _hottest(
        self, there: Iterable[Memory], used: Counter[str], standing: Mapping[str, Memory], at: float
    ) -> list[Memory]:
        """Those that are to be pinned. One that is pinned keeps its place until it is cold, or another one is hotter by
        as much as hot is than cold; what somebody else pinned is not ours to place."""
        ours = [m for m in there if m.id in standing or self._placeable(m)]
        grip = self.hot / self.cold
        heats = [(self.heat(m, used[m.id], at) * (grip if m.id in standing else 1.0), m) for m in ours]
        fit = sorted(((heat, m) for heat, m in heats if heat >= self.hot), key=lambda pair: (-pair[0], pair[1].id))
        return [memory for _, memory in fit[: self.most]]

    def _placeable(self, memory: Memory) -> bool:
        """What nobody else placed there already, and may stand there without a remark."""
        made = memory.thought is not None and not _is(memory, _MERGED)
        return not (memory.pinned or made or not memory.text.strip() or sign(memory))

    def _over(self, memories: Sequence[Memory], fresh: Iterable[str], now: float) -> list[Archive]:
        """What nobody called upon for so long; what was changed or brought back counts from then on."""
        spared, least = {*fresh}, now - self.ttl * DAY
        over = [
            m
            for m in memories
            if not m.pinned and m.id not in spared and max(m.at, m.updated, m.use.last if m.use else 0.0) < least
        ]
        return [Archive(memory.id) for memory in over[:_AT_ONCE]]

    async def _merged(self, turns: Sequence[Turn], own: Sequence[Memory], study: Study) -> list[Insert]:
        """Near duplicates as one memory, if a model finds a sentence for both; the turns stay and stand behind it."""
        cubes = {id: memory for memory in own if _is(memory, _MERGED) for id in _links(memory)}
        pairs: dict[str, tuple[Turn, Memory]] = {}
        for turn in turns:
            twin = await self._twin(turn, cubes, study)
            if twin is not None and twin.id not in pairs and turn.id not in pairs:
                pairs[twin.id] = (turn, twin)
        offered = [*pairs.values()][: self.merges]
        if not offered:
            return []
        lines = (f"[{n}] {a.user_text} / {b.text[:_LONGEST]}" for n, (a, b) in enumerate(offered, 1))
        try:
            answer = await study.ask(f"{_MERGE}\n\n{material('Pairs:', lines)}", Merges)
        except NoModel:
            return []
        sentences = {one.pair: one.sentence.strip() for one in answer.merges}
        made = [(sentences.get(number, ""), *pair) for number, pair in enumerate(offered, 1)]
        return [_cube(text, turn, old) for text, turn, old in made if text and _whole(text, turn.user_text, old.text)]

    async def _twin(self, turn: Turn, cubes: Mapping[str, Memory], study: Study) -> Memory | None:
        """What a turn says once more, or what that was merged into, unless somebody froze it; a turn in several pieces
        says more than any of them."""
        if not turn.user_text.strip() or len(self.keep(turn)) > 1:
            return None
        for candidate in await study.like(turn.user_text, kinds=("turn", "fact"), limit=8):
            memory = cubes.get(candidate.memory.id, candidate.memory)
            alike = candidate.signals.get("dense_turn", 0.0)
            ours = _is(memory, _HOT) or not memory.pinned
            if alike >= self.alike and turn.id not in memory.sources and ours and not _is(memory, _COPY):
                return memory
        return None


def _is(memory: Memory, mark: str) -> bool:
    return memory.thought is not None and mark in memory.thought.tags[:1] + memory.thought.tags[2:]


def _links(memory: Memory) -> list[str]:
    return [link.to for link in memory.thought.links] if memory.thought else []


def _key(memory: Memory) -> str:
    """A merged memory's: the second tag."""
    return memory.thought.tags[1] if memory.thought and _is(memory, _MERGED) else ""


def _origin(memory: Memory) -> str:
    """What a hot memory is a copy of, or itself."""
    return memory.thought.tags[1] if memory.thought and _is(memory, _COPY) else memory.id


def _pinned(memory: Memory) -> Insert:
    """A merged memory with its pin, or a copy of a turn with one; unchanged where it stands so already."""
    if memory.thought is not None:
        return _placed(memory, pinned=True)
    return Insert(
        Draft(
            kind="fact",
            title="The user said",
            text=memory.text,
            reply=memory.reply,
            sources=memory.sources,
            key=f"{_COPY} {memory.id}",
            occurred=(memory.at, memory.at),
            tags=(_COPY, memory.id, _HOT),
            pinned=True,
        )
    )


def _demoted(memory: Memory) -> Operation:
    return Forget(memory.id) if _is(memory, _COPY) else _placed(memory, pinned=False)


def _placed(memory: Memory, *, pinned: bool) -> Insert:
    tags = (_MERGED, _key(memory), *([_HOT] if pinned else []))
    links = memory.thought.links if memory.thought else ()
    return Insert(Draft("fact", memory.text, memory.sources, key=_key(memory), tags=tags, links=links, pinned=pinned))


def _cube(text: str, turn: Turn, old: Memory) -> Insert:
    """The next version of what was merged before, or the first of a new one."""
    links = (*(old.thought.links if old.thought else (Link(old.id, "semantic"),)), Link(turn.id, "semantic"))
    key = _key(old) or old.id
    tags = old.thought.tags if old.thought else (_MERGED, key)
    return Insert(Draft("fact", text, (*old.sources, turn.id), key=key, tags=tags, links=links, pinned=_is(old, _HOT)))


def _whole(text: str, *parts: str) -> bool:
    """Whether no number was lost."""
    return {*_NUMBERS.findall(text)} >= {number for part in parts for number in _NUMBERS.findall(part)}
