"""Carries out what reflection decided, and takes it back: all of it once, or nothing. Asks no model, knows no policy.

A reflection is kept with images of what it changes before anything is changed. Who is killed in between leaves it
unfinished, and the next one carries it out again: an image is only written over the version that it was made from.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from gateway.memory.curate import Curator
from gateway.memory.lexical import query
from gateway.memory.recall import reads
from gateway.memory.records import Memory, Query, Scope, Turn
from gateway.memory.reflections import Operation, Reflection, Spent
from gateway.memory.revise import Basis, draft_of, images, named, thought_id, words
from gateway.memory.thinking import Agenda
from gateway.memory.versions import next_version

SAME = 0.97
"""Cosine from which two derived texts of a kind say the same (Hindsight's own threshold)."""
_TWINS = 20


@dataclass(frozen=True)
class Decided:
    """What a policy decided about some turns, which stood on the agenda under these `stamps`; `seen` are the versions
    that it looked at. `error` says why the policy decided nothing, "" where it could have; captions there may be all
    the same."""

    policy: str
    turns: tuple[Turn, ...]
    stamps: tuple[str, ...] = ()
    operations: tuple[Operation, ...] = ()
    seen: dict[str, int] | None = None
    spent: Spent = field(default_factory=Spent)
    error: str = ""


@dataclass(frozen=True)
class Reviser:
    """`clean` gives what may be stored of a text that a model wrote: no secrets, nothing that we recalled."""

    curator: Curator
    agenda: Agenda
    clean: Callable[[str], str]

    async def carry_out(self, scope: Scope, decided: Decided) -> Reflection | None:
        """The reflection, carried out; None when somebody else thought about these turns first, or they are gone."""
        async with self.curator.journal.hold(scope):
            id = str(uuid.uuid4())
            basis = await self._basis(scope, id, decided)
            made = images(decided.operations, basis)
            reflection = Reflection(
                id=id,
                policy=decided.policy,
                at=basis.now,
                turns=tuple(turn.id for turn in decided.turns),
                before=made.before,
                after=made.after,
                refused=made.refused,
                state="failed" if decided.error and not decided.operations else "intended",
                error=decided.error,
                calls=decided.spent.calls,
                tokens=decided.spent.tokens,
            )
            if not await self.agenda.intend(scope, reflection, decided.stamps):
                return None
            return reflection if reflection.state == "failed" else await self._finish(scope, reflection)

    async def finish(self, scope: Scope) -> int:
        """Carry out what was intended and left; how many."""
        left = await self.agenda.unfinished(scope)
        if left:
            async with self.curator.journal.hold(scope):
                for reflection in await self.agenda.unfinished(scope):
                    await self._finish(scope, reflection)
        return len(left)

    async def undo(self, scope: Scope, id: str) -> Reflection | None:
        """Take a reflection back, but for what was changed since, which is refused; None if there is no such one."""
        async with self.curator.journal.hold(scope):
            reflection = await self.agenda.reflection(scope, id)
            if reflection is None or reflection.state != "applied":
                return reflection
            former = {memory.id: memory for memory in reflection.before}
            latter = {memory.id: memory for memory in reflection.after}
            there = await self._there(scope, [*{*former, *latter}])
            now, put, gone, refused = self.curator.clock(), [], [], []
            for one in sorted({*former, *latter}):
                current, old = there.get(one), former.get(one)
                if (current and current.version) != (latter[one].version if one in latter else None):
                    refused.append(f"undo: {one} has changed since")
                elif old is None:
                    gone.append(one)
                else:
                    put.append(next_version(current, old, now) if current else old)
            await self.curator.settle(scope, put, gone)
            # As after an edit: what was injected from what is taken back must not be replayed.
            await self.curator.sessions.erase_turns(scope, [*(memory.id for memory in put), *gone])
            undone = replace(reflection, state="undone", refused=(*reflection.refused, *refused))
            await self.agenda.conclude(scope, undone)
            return undone

    async def _finish(self, scope: Scope, reflection: Reflection) -> Reflection:
        former = {memory.id: memory.version for memory in reflection.before}
        latter = {memory.id for memory in reflection.after}
        there = await self._there(scope, [*{*former, *latter}])
        version = {id: memory.version for id, memory in there.items()}
        put = [memory for memory in reflection.after if version.get(memory.id) == former.get(memory.id)]
        gone = [id for id in former if id not in latter and version.get(id) == former[id]]
        await self.curator.settle(scope, put, gone)
        applied = replace(reflection, state="applied")
        await self.agenda.conclude(scope, applied)
        return applied

    async def _basis(self, scope: Scope, id: str, decided: Decided) -> Basis:
        """What the decisions name, and what they would make once more."""
        drafts = [draft for operation in decided.operations if (draft := draft_of(operation))]
        cleaned = [replace(draft, text=self.clean(draft.text)) for draft in drafts]
        made = [thought_id(scope, decided.policy, draft) for draft in cleaned]
        ids = [id for operation in decided.operations for id in named(operation)]
        linked = [link.to for draft in drafts for link in draft.links]  # whose evidence may be the draft's too
        known = await self._there(scope, [*dict.fromkeys((*ids, *made, *linked))])
        twins = {}
        for draft, own in zip(cleaned, made, strict=True):
            if draft.text and not draft.key and own not in known:
                twin = await self._twin(scope, decided.policy, draft.kind, draft.text)
                if twin is not None:
                    twins[draft.text] = known[twin.id] = twin
        turns = {turn.id: turn for turn in decided.turns}
        now = self.curator.clock()
        return Basis(scope, decided.policy, id, turns, known, now, decided.seen or {}, twins, self.clean)

    async def _twin(self, scope: Scope, policy: str, kind: str, text: str) -> Memory | None:
        vectors = await self.curator.embedder.embed([text])
        found = await self.curator.memories.search(scope, Query(vectors[0], query(text)), _TWINS)
        alike = [
            candidate
            for candidate in found
            if candidate.signals.get("dense_turn", 0.0) >= SAME
            and candidate.memory.kind == kind
            and candidate.memory.thought is not None
            and reads(policy, candidate.memory)
            and words(candidate.memory.text) == words(text)  # three hives are much like four, and no like a yes
        ]
        return max(alike, key=lambda candidate: candidate.signals["dense_turn"]).memory if alike else None

    async def _there(self, scope: Scope, ids: Sequence[str]) -> dict[str, Memory]:
        return {memory.id: memory for memory in await self.curator.memories.get(scope, ids)}
