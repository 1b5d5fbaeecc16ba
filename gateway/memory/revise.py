"""From what reflection decided to what memories become: every decision is carried out, or refused and the reason told.
Pure; never sees a memory of anybody but the user whose turns were thought about.

Rules: nothing is derived without evidence; what was said is evidence and stays as it was said; a note is its
operator's; what changed since it was looked at is left alone. The same decisions about the same memories give the same
images, so carrying them out twice is carrying them out once.
"""

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gateway.memory.records import Memory, Scope, Status, Turn
from gateway.memory.reflections import (
    Archive,
    Draft,
    Forget,
    Gist,
    Insert,
    Merge,
    Operation,
    Reinforce,
    Restore,
    Supersede,
    Weaken,
)
from gateway.memory.thoughts import Thought, Use
from gateway.memory.versions import next_version

LONGEST = 4096
"""Characters of a derived text: what is longer is no thought, but a copy."""
MOST_SOURCES = 500
"""Turns that a memory names as its evidence, the latest; with so many it counts as resting on everything."""
_THOUGHTS = uuid.UUID("6d6e656d-6500-4000-8000-74686f756768")
_EMPTY = frozenset(("a", "an", "the", "that", "is", "are", "was", "were", "has", "have", "and"))
_PLAIN = re.compile(r"\W+")


class Refused(Exception):
    """An operation that is not carried out; the text says why."""


@dataclass(frozen=True, slots=True)
class Basis:
    """What decisions rest on. `turns` were thought about, `known` are memories of their user by id, `seen` the versions
    that reflection looked at; `twins` are memories that say the same as a draft's text, by that text. `clean` gives
    what may be stored of a text. `now` is in seconds since the epoch."""

    scope: Scope
    policy: str
    reflection: str
    turns: Mapping[str, Turn]
    known: Mapping[str, Memory]
    now: float
    seen: Mapping[str, int] = field(default_factory=dict)
    twins: Mapping[str, Memory] = field(default_factory=dict)
    clean: Callable[[str], str] = str.strip


@dataclass(frozen=True, slots=True)
class Images:
    """See reflections.Reflection."""

    before: tuple[Memory, ...]
    after: tuple[Memory, ...]
    refused: tuple[str, ...]


def thought_id(scope: Scope, policy: str, draft: Draft) -> str:
    """The id that a draft's memory has. Two writers that think the same thought make one memory of it."""
    parts = (scope.tenant, scope.user, policy, draft.kind, draft.key or plain(draft.text))
    name = "\x1f".join(part.encode("utf-8", "surrogatepass").hex() for part in parts)
    return str(uuid.uuid5(_THOUGHTS, name))


def plain(text: str) -> str:
    """The words of a text, however they are written."""
    return _PLAIN.sub(" ", text.casefold()).strip() or text.casefold()


def words(text: str) -> frozenset[str]:
    """What a text says, whatever the order: its words, but for those that say nothing."""
    return frozenset(plain(text).split()) - _EMPTY


def named(operation: Operation) -> tuple[str, ...]:
    """The memories that an operation is about, made ones aside."""
    match operation:
        case Merge(ids):
            return ids
        case Insert():
            return ()
        case _:
            return (operation.id,)


def draft_of(operation: Operation) -> Draft | None:
    """What an operation wants to be remembered, if it wants anything."""
    return operation.draft if isinstance(operation, Insert | Merge | Supersede) else None


def images(operations: Sequence[Operation], basis: Basis) -> Images:
    """Carried out one after the other; a refused one changes nothing."""
    desk = _Desk(basis, dict(basis.known))
    refused = []
    for operation in operations:
        try:
            desk.do(operation)
        except Refused as reason:
            refused.append(f"{type(operation).__name__.lower()}: {reason}")
    return Images(*desk.changed(), tuple(refused))


@dataclass
class _Desk:
    """The memories while operations change them."""

    basis: Basis
    there: dict[str, Memory]

    def do(self, operation: Operation) -> None:
        match operation:
            case Insert(draft):
                self._keep(draft)
            case Merge(ids, draft):
                self._replace([self._own(id) for id in dict.fromkeys(ids)], draft)
            case Supersede(id, draft):
                self._replace([self._own(id)], draft)
            case Forget(id):
                del self.there[self._own(id).id]
            case Archive(id) | Restore(id):
                status: Status = "archived" if isinstance(operation, Archive) else "active"
                self._put(replace(self._any(id), status=status))
            case Gist(id, text):
                self._put(replace(self._any(id), gist=self._text(text)))
            case Reinforce() | Weaken():
                self._weigh(operation)

    def changed(self) -> tuple[tuple[Memory, ...], tuple[Memory, ...]]:
        """Images of what is not as it was, before and after, in the order of their ids."""
        known, now = self.basis.known, self.basis.now
        ids = sorted(id for id in {*known, *self.there} if known.get(id) != self.there.get(id))
        before = tuple(known[id] for id in ids if id in known)
        after = (self.there[id] for id in ids if id in self.there)
        return before, tuple(next_version(known[new.id], new, now) if new.id in known else new for new in after)

    def _keep(self, draft: Draft, more: Sequence[Memory] = ()) -> Memory:
        """The draft as a memory; `more` are memories whose turns it rests on too."""
        basis, text = self.basis, self._text(draft.text)
        draft = replace(draft, text=text, reply=basis.clean(draft.reply)[:LONGEST])
        sources = self._sources(draft, more)
        id = thought_id(basis.scope, basis.policy, draft)
        old = self.there.get(id)
        twin = basis.twins.get(text) if old is None and not draft.key else None
        if twin is not None and twin.id in self.there:
            old = twin = self.there[twin.id]
        if old is not None and not draft.key and old.status == "active" and (old is twin or _same(old, text)):
            made = self._strengthened(old, sources)
        else:
            made = self._made(id, draft, sources, old)
        if old is not None and _but_for_when(made) == _but_for_when(old):
            return old
        self.there[made.id] = made
        return made

    def _strengthened(self, old: Memory, sources: tuple[str, ...]) -> Memory:
        """What was known already has one more turn to rest on; told by the same turn again it stays as it is."""
        fresh = [source for source in sources if source not in old.sources]
        if not fresh:
            return old
        use = old.use or Use()
        return replace(old, sources=(*old.sources, *fresh)[-MOST_SOURCES:], use=replace(use, strength=use.strength + 1))

    def _made(self, id: str, draft: Draft, sources: tuple[str, ...], old: Memory | None) -> Memory:
        basis = self.basis
        turns = [basis.turns[source] for source in sources if source in basis.turns]
        sessions = {turn.session for turn in turns}
        thought = Thought(
            basis.policy,
            basis.reflection,
            draft.title,
            min(max(draft.confidence, 0.0), 1.0),
            draft.occurred,
            None,
            "",
            draft.tags,
            tuple(link for link in draft.links if link.to != id),
            tuple(span for span in draft.spans if span.turn in sources),
            draft.outcome,
        )
        heard = any(span.part == "reply" for span in thought.spans)
        return Memory(
            id=id,
            scope=basis.scope,
            session=draft.session or (sessions.pop() if len(sessions) == 1 else ""),
            text=draft.text,
            reply=draft.reply,
            kind=draft.kind,
            trust="assistant" if heard else "user",
            pinned=draft.pinned,
            at=max((turn.at for turn in turns), default=old.at if old else basis.now),
            updated=basis.now,
            version=old.version if old else 1,
            sources=tuple(dict.fromkeys((*(old.sources if old else ()), *sources)))[-MOST_SOURCES:],
            former=old.former if old else (),
            use=old.use if old else None,
            thought=thought,
        )

    def _replace(self, old: Sequence[Memory], draft: Draft) -> None:
        if not old:
            raise Refused("names no memory")
        made = self._keep(draft, old)
        for memory in old:
            if memory.id != made.id:
                thought = replace(_thought(memory), until=made.at)
                self.there[memory.id] = replace(memory, status="superseded", pinned=False, thought=thought)
        if made.id not in {memory.id for memory in old}:
            thought = replace(_thought(made), supersedes=old[0].id)
            self.there[made.id] = replace(made, thought=thought)

    def _weigh(self, operation: Reinforce | Weaken) -> None:
        memory = self._any(operation.id)
        if not operation.by > 0:
            raise Refused("by nothing")
        if isinstance(operation, Reinforce) and operation.of == "strength":
            use = memory.use or Use()
            used = Use(use.strength + operation.by, use.count + 1, max(use.last, self._last()))
            return self._put(replace(memory, use=used))
        own = self._own(operation.id)
        by = operation.by if isinstance(operation, Reinforce) else -operation.by
        confidence = min(max(_thought(own).confidence + by, 0.0), 1.0)
        return self._put(replace(own, thought=replace(_thought(own), confidence=confidence)))

    def _last(self) -> float:
        return max((turn.at for turn in self.basis.turns.values()), default=self.basis.now)

    def _sources(self, draft: Draft, more: Sequence[Memory]) -> tuple[str, ...]:
        held = {source for memory in self.basis.known.values() for source in memory.sources}
        own = [source for source in draft.sources if source in self.basis.turns or source in held]
        sources = tuple(dict.fromkeys((*(source for memory in more for source in memory.sources), *own)))
        if not sources:
            raise Refused("no evidence")
        return sources

    def _text(self, text: str) -> str:
        said = self.basis.clean(text)
        if not said:
            raise Refused("says nothing")
        if len(said) > LONGEST:
            raise Refused(f"longer than {LONGEST} characters")
        return said

    def _any(self, id: str) -> Memory:
        memory = self.there.get(id)
        if memory is None:
            raise Refused("unknown memory")
        if memory.kind == "note":
            raise Refused("an operator's note")
        if self.basis.seen.get(id, memory.version) != memory.version:
            raise Refused("changed meanwhile")
        return memory

    def _own(self, id: str) -> Memory:
        memory = self._any(id)
        if memory.thought is None or memory.thought.policy != self.basis.policy:
            raise Refused("not made by this policy")
        return memory

    def _put(self, memory: Memory) -> None:
        self.there[memory.id] = memory


def _same(memory: Memory, text: str) -> bool:
    return plain(memory.text) == plain(text)


def _but_for_when(memory: Memory) -> Memory:
    """All that it says, whichever reflection said it."""
    return replace(memory, updated=0.0, thought=memory.thought and replace(memory.thought, reflection=""))


def _thought(memory: Memory) -> Thought:
    if memory.thought is None:
        raise Refused("not made by reflection")
    return memory.thought
