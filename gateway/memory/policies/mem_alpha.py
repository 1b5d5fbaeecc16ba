"""Mem-alpha: a model keeps the memory with three tools, in three places: a core, facts, and events.

The idea (arXiv 2509.25911): who writes the memory can be trained, for its tools are few: insert, update, delete. The
core is one paragraph that always stands by and is only ever rewritten; facts and events are found by recall. Without a
model nothing is made. docs/policies/mem_alpha.md tells what differs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from gateway.memory.budget import tokens
from gateway.memory.policies.asking import known, material, sources, told
from gateway.memory.policies.base import Study
from gateway.memory.policies.extracts import extract
from gateway.memory.policies.verbatim import Verbatim
from gateway.memory.records import Kind, Memory, Turn
from gateway.memory.reflections import Draft, Forget, Insert, Operation, Supersede
from gateway.memory.revise import plain
from gateway.memory.thoughts import Link

_WRITE = """Keep the memory of this user with calls of tools, in order, at most {most} of them, none if nothing is new.
`memory_insert` adds to "semantic" (a lasting fact, one sentence) or "episodic" (what happened, with its day as
YYYY-MM-DD in `date`). `memory_update` gives the remembered number `id` other words, or rewrites the "core" as a whole:
one paragraph on who the user is and what matters to them, at most {words} words. `memory_delete` removes the number
`id`, which is wrong or over. Write names instead of pronouns and dates instead of "yesterday"; questions are no facts.
`turn` is the number of the turn that a call rests on; `id` is 0 and texts are "" where they do not apply."""
_RETHINK = """Say this in one paragraph of at most {words} words, as `core`: leave out what matters least."""
_DAY = 86_400.0
_LONGEST, _LIKE = 1200, 5
_KINDS: tuple[Kind, ...] = ("fact", "event")


@dataclass(frozen=True, slots=True)
class Call:
    """Of a tool."""

    tool: Literal["memory_insert", "memory_update", "memory_delete"]
    type: Literal["core", "semantic", "episodic"]
    id: int
    content: str
    date: str
    turn: int


@dataclass(frozen=True, slots=True)
class Calls:
    """What a model is asked for."""

    calls: tuple[Call, ...]


@dataclass(frozen=True, slots=True)
class Core:
    """And once more, where the core is too long."""

    core: str


@dataclass(frozen=True, slots=True)
class MemAlpha(Verbatim):
    """At most `most` calls a batch, over the `newest` memories and those like what was said. The core has at most
    `core_tokens`, as they are estimated here."""

    name: str = "mem_alpha"
    thinks: bool = True
    most: int = 12
    newest: int = 20
    core_tokens: int = 512

    async def reflect(self, turns: Sequence[Turn], study: Study) -> Sequence[Operation]:
        """What the calls come to; each memory is called about once."""
        core, shown = await study.own("profile"), await self._shown(turns, study)
        ask = _WRITE.format(most=self.most, words=self._words)
        prompt = f"{ask}\n\n{known(core, 'The core:')}\n{known(shown)}\n{told(turns)}"
        calls = (await study.ask(prompt, Calls)).calls[: self.most]
        made, paragraph, named, said = list[Operation](), "", set[int](), set[str]()
        for call in calls:
            text = call.content.strip()[:_LONGEST]
            if call.type == "core":
                paragraph = call.content.strip() if call.tool == "memory_update" else paragraph
            elif call.tool == "memory_insert" and text and plain(text) not in said:
                made.append(Insert(_draft(call, text, turns)))
                said.add(plain(text))
            elif call.tool != "memory_insert" and 1 <= call.id <= len(shown) and call.id not in named:
                named.add(call.id)
                made += _changed(call, text, shown[call.id - 1], turns)
        return [*made, *([Insert(await self._core(paragraph, shown, turns, study))] if paragraph else [])]

    @property
    def _words(self) -> int:
        """What a model can count: three words of English are some four tokens."""
        return self.core_tokens * 3 // 4

    async def _shown(self, turns: Sequence[Turn], study: Study) -> list[Memory]:
        """The newest of its own memories, and before them those like what was said, earliest first."""
        own = await study.own(*_KINDS)
        like = [
            candidate.memory.id
            for turn in turns
            if turn.user_text.strip()
            for candidate in await study.like(turn.user_text[:_LONGEST], kinds=_KINDS, limit=_LIKE)
        ]
        newest = {memory.id for memory in own[-self.newest :]}
        return [memory for memory in own if memory.id in newest or memory.id in like]

    async def _core(self, paragraph: str, shown: Sequence[Memory], turns: Sequence[Turn], study: Study) -> Draft:
        """The core, thought over once where it is too long, and cut where it still is. It may say what any of the
        memories that were shown say, so it is linked to them and rests on their turns too."""
        text = " ".join(paragraph.split())
        if tokens(text) > self.core_tokens:
            long = material("The core:", [text[: 16 * self.core_tokens]])
            text = (await study.ask(f"{_RETHINK.format(words=self._words)}\n\n{long}", Core)).core
            text = " ".join(text.split())
        limit = self._words
        while tokens(text) > self.core_tokens:
            text, limit = extract(text[: 16 * self.core_tokens], limit), limit // 2
        return Draft(
            kind="profile",
            text=text or " ".join(paragraph.split())[: self.core_tokens],
            sources=tuple(dict.fromkeys((*(s for m in shown for s in m.sources), *(turn.id for turn in turns)))),
            key="core",
            links=tuple(Link(memory.id, "semantic") for memory in shown),
            pinned=True,
        )


def _draft(call: Call, text: str, turns: Sequence[Turn]) -> Draft:
    rests_on = sources(turns, [call.turn])
    if call.type == "episodic":
        return Draft("event", text, rests_on, occurred=_day(call.date))
    return Draft("fact", text, rests_on)


def _changed(call: Call, text: str, old: Memory, turns: Sequence[Turn]) -> list[Operation]:
    """An update of nothing, or to nothing, is none."""
    if call.tool == "memory_delete":
        return [Forget(old.id)]
    return [Supersede(old.id, _draft(call, text, turns))] if text and plain(text) != plain(old.text) else []


def _day(day: str) -> tuple[float, float] | None:
    """[start, end) of a day (UTC), in seconds since the epoch; None where it is none."""
    try:
        start = datetime.strptime(day.strip(), "%Y-%m-%d").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
    return start, start + _DAY
