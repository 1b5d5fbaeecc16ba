"""What a user asks to be told of once it is known (standing queries, AViLA, arXiv 2506.18472): kept until a later turn
says it, and then told with that turn, once. Decides by rules; a question and what denies it never count as saying it.

A watch is a memory of kind "watch" that belongs to no policy: it rests on the turn that asked, and, once it was met, on
the turn that met it, so that it goes with either. It is archived by the turn whose prompt told of it.
"""

import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace

from gateway.memory import lexical
from gateway.memory.filters import Filter
from gateway.memory.ports import Embedder, Journal, MemoryStore
from gateway.memory.records import Hit, Memory, Scope, Status, Trust, Turn
from gateway.memory.thoughts import Thought
from gateway.memory.wary import sign

MET = "met"
"""The tag of a watch that a turn has met, and nobody was told of yet."""
_ALIKE = 0.4  # cosine of a sentence and what is asked for
_SHARED = 0.75  # of the words of what is asked for, so that only long requests may miss one
_WAITING, _TELLING, _PENDING, _SENTENCES, _QUOTED = 50, 3, 100, 20, 160
_LEAD = re.compile(
    r"""^\W*(?:please\s+)?(?:(?:tell|remind|notify|alert|warn|ping|inform)\s+me|let\s+me\s+know|i\s+(?:want|need)\s+to\s+know)
    \s+(?:when(?:ever)?|if|once|as\s+soon\s+as|about|that|of)?\s*""",
    re.I | re.X,
)
_SENTENCE = re.compile(r"(?<=[.!?…])\s+|\n+")
# A sentence that denies or asks says nothing yet, nor does one about what may come.
_DENIES = re.compile(
    r"""\b(?:not|never|no|nor|neither|without|nobody|unless|if|hardly|almost|nearly
    |will|would|(?-i:may)|might|could|should|(?:hop|wish|want|plan|expect|wait|try|tri)(?:e?s|ed|ing)?|hoping|planning
    |to\s+be|going\s+to)\b | n['’]t\b | ['’]ll\b | \?\s*$""",
    re.I | re.X,
)


def wanted(turn: Turn) -> Memory:
    """The watch that a turn asks for."""
    id = str(uuid.uuid5(uuid.UUID(turn.id), "watch"))
    return made(id, turn.scope, turn.watch, turn.at, (turn.id,))


def made(id: str, scope: Scope, text: str, at: float, sources: tuple[str, ...] = ()) -> Memory:
    """A watch; one that rests on no turn is an operator's."""
    trust: Trust = "user" if sources else "operator"
    thought = Thought("")
    return Memory(id, scope, "", text, kind="watch", trust=trust, at=at, updated=at, sources=sources, thought=thought)


def met(watch: Memory) -> bool:
    """Whether a turn has met it, and nobody was told of it yet."""
    return watch.status == "active" and watch.thought is not None and MET in watch.thought.tags


def says(watch: str, said: str) -> list[str]:
    """The sentences of what was said that may say what is watched for: they have its words, and deny or ask nothing."""
    asked = lexical.terms(_LEAD.sub("", watch))
    return [
        sentence
        for sentence in _SENTENCE.split(said)[:_SENTENCES]
        if asked and len(asked & lexical.terms(sentence)) >= _SHARED * len(asked) and not _DENIES.search(sentence)
    ]


async def changed(turns: Sequence[Turn], memories: MemoryStore, embedder: Embedder) -> list[Memory]:
    """The watches that turns of one user ask for, meet, or told of, in their next state. The same turns told again
    change nothing."""
    scope, asking = turns[0].scope, [wanted(turn) for turn in turns if turn.watch]
    known = {memory.id: memory for memory in await waiting(memories, scope)}
    there = {memory.id for memory in await memories.get(scope, [watch.id for watch in asking])} if asking else set()
    new = {watch.id: watch for watch in asking if watch.id not in there}
    after = {**known, **new}
    for turn in turns:
        for watch in [*after.values()]:
            if watch.id in turn.recalled:
                after[watch.id] = _next(watch, turn.at, status="archived")
            elif not met(watch) and watch.status == "active" and await _meets(turn, watch, embedder):
                after[watch.id] = _met(watch, turn)
    return [watch for id, watch in after.items() if watch != known.get(id)]


async def waiting(memories: MemoryStore, scope: Scope) -> list[Memory]:
    """The user's watches that nobody was told of, of many the first some."""
    page = await memories.browse(scope, Filter(kind="watch", status="active"), limit=_WAITING)
    return sorted(page.items, key=lambda watch: (watch.at, watch.id))


async def telling(memories: MemoryStore, journal: Journal, scope: Scope) -> list[Hit]:
    """What the user asked to be told of and has been met, as hits that say so."""
    due = [watch for watch in await waiting(memories, scope) if met(watch)]
    if not due:
        return []
    # A turn that is not indexed yet may have been told of it already.
    already = {id for turn in await journal.pending(scope, _PENDING) for id in turn.recalled}
    due = [watch for watch in due if watch.id not in already][:_TELLING]
    found = {memory.id: memory for memory in await memories.get(scope, [watch.sources[-1] for watch in due])}
    return [_hit(watch, found[watch.sources[-1]]) for watch in due if watch.sources[-1] in found]


def without(hits: Sequence[Hit], told: Sequence[Hit]) -> Iterator[Hit]:
    """What was found beside what is told anyway: a turn that met a watch is not told twice."""
    sources = {source for hit in told for source in hit.memory.sources}
    for hit in hits:
        again = hit.memory.kind == "turn" and hit.memory.id in sources and not hit.dropped
        yield replace(hit, dropped="told because it was asked for") if again else hit


def _hit(watch: Memory, evidence: Memory) -> Hit:
    """The evidence in the watch's name: the turn whose prompt has it tells of the watch, and deleting either turn takes
    the line out of every conversation."""
    asked = "" if sign(watch) else f": {watch.text[:_QUOTED]}"
    return Hit(replace(evidence, id=watch.id), 1.0, {}, remark=f"you asked to be told{asked}")


async def _meets(turn: Turn, watch: Memory, embedder: Embedder) -> bool:
    if turn.id in watch.sources or turn.at < watch.at:
        return False
    sentences = says(watch.text, turn.user_text)
    if not sentences:
        return False
    wish, *told = await embedder.embed([_LEAD.sub("", watch.text), *sentences])
    return max(sum(a * b for a, b in zip(wish, one, strict=True)) for one in told) >= _ALIKE


def _met(watch: Memory, turn: Turn) -> Memory:
    thought = replace(watch.thought or Thought(""), tags=(MET,))
    return replace(_next(watch, turn.at), sources=(*watch.sources, turn.id), thought=thought)


def _next(watch: Memory, at: float, status: Status = "active") -> Memory:
    return replace(watch, status=status, updated=max(watch.updated, at), version=watch.version + 1)
