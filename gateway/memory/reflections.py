"""What reflection decides, and what came of it. All frozen; a decision never says whose memory it is about: it can only
be carried out on the memories of the user whose turns were thought about."""

from dataclasses import dataclass
from typing import Literal

from gateway.memory.records import Kind, Memory
from gateway.memory.thoughts import Link, Outcome, Span


@dataclass(frozen=True, slots=True)
class Draft:
    """A memory as reflection wants it. `sources` are the turns that it rests on: without any it is refused.

    `key` tells drafts of one policy apart that are about the same thing, for ever: the same key is the same memory, and
    the next draft under it the next version. Without a key, the text is. `reply` is what was answered, where that is
    part of it: likeness is measured by the text alone.
    """

    kind: Kind
    text: str
    sources: tuple[str, ...]
    key: str = ""
    reply: str = ""
    title: str = ""
    confidence: float = 1.0
    occurred: tuple[float, float] | None = None
    tags: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    spans: tuple[Span, ...] = ()
    outcome: Outcome = ""
    pinned: bool = False
    session: str = ""


@dataclass(frozen=True, slots=True)
class Insert:
    """Remember this too. What says the same as a memory that is there strengthens that one instead."""

    draft: Draft


@dataclass(frozen=True, slots=True)
class Merge:
    """One memory in the place of several, which it supersedes; it rests on the turns of all of them."""

    ids: tuple[str, ...]
    draft: Draft


@dataclass(frozen=True, slots=True)
class Supersede:
    """What `id` says is over: from the draft's turns on, the draft holds."""

    id: str
    draft: Draft


@dataclass(frozen=True, slots=True)
class Gist:
    """The same memory in fewer words, beside its text."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Reinforce:
    """The turns bear out what `id` says, or recalled it: strength or confidence grows by `by`."""

    id: str
    by: float = 1.0
    of: Literal["strength", "confidence"] = "strength"


@dataclass(frozen=True, slots=True)
class Weaken:
    """The turns speak against what `id` says: its confidence falls by `by`."""

    id: str
    by: float


@dataclass(frozen=True, slots=True)
class Archive:
    """Keep `id`, and recall it no more."""

    id: str


@dataclass(frozen=True, slots=True)
class Restore:
    """Recall `id` again."""

    id: str


@dataclass(frozen=True, slots=True)
class Forget:
    """Remove `id`. Only of what reflection made: what was said stays evidence."""

    id: str


Operation = Insert | Merge | Supersede | Gist | Reinforce | Weaken | Archive | Restore | Forget


@dataclass(frozen=True, slots=True)
class Due:
    """A turn that is to be thought about, under which policy. `stamp` changes with whatever of the turn matters."""

    turn: str
    seq: int
    policy: str
    stamp: str = ""


@dataclass(frozen=True, slots=True)
class Reflection:
    """What thinking about some turns changed: images of memories before and after, without those that did not exist.

    An id that stands in `before` alone was removed, one in `after` alone was made. `refused` says which of the
    operations were not carried out and why; `error` why the policy made nothing of the turns. `calls` and `tokens` are
    what was asked of a model.
    """

    id: str
    policy: str
    at: float
    turns: tuple[str, ...]
    before: tuple[Memory, ...] = ()
    after: tuple[Memory, ...] = ()
    refused: tuple[str, ...] = ()
    state: Literal["intended", "applied", "failed", "undone"] = "intended"
    error: str = ""
    calls: int = 0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Spent:
    """What a tenant's reflection asked of a model on one day."""

    calls: int = 0
    tokens: int = 0
