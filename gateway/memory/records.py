"""The nouns of memory, all frozen. They never know where they are stored or how they came in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from gateway.memory.thoughts import Feedback, Former, Media, Thought, Use

T = TypeVar("T")
Vector = tuple[float, ...] | list[float]
Ending = Literal["final", "partial", "open"]
Kind = Literal[
    "turn",
    "note",
    "fact",
    "event",
    "profile",
    "opinion",
    "observation",
    "experience",
    "summary",
    "strategy",
    "concept",
    "error",
    "caption",
    "watch",
]
"""A turn as it was said, an operator's note, or, all others, what reflection made of turns."""
Status = Literal["active", "archived", "superseded"]
Trust = Literal["user", "assistant", "operator"]


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose memory: every store call takes one, and there is no call without it. Both parts are opaque strings."""

    tenant: str
    user: str


@dataclass(frozen=True, slots=True)
class Turn:
    """A user's message up to the final reply, as journalled: already redacted, stripped of recalled text.

    `id` is a UUID string derived from scope, session and chain, so that the same turn told twice is one turn.
    `chain` is the hash of the conversation up to and including the user's message.
    `ending`: final, partial (the client left or the stream broke), open (a tool loop that has not answered yet).
    `at` is when it was said, in seconds since the epoch; `seq` the journal's running number (0: not yet journalled).
    `policy` is the memory policy that the request chose, "" where nobody did; `recalled` the ids of the memories that
    stood in its prompt. `watch` is what the user asked to be told of once it is known, "" for nothing.
    """

    id: str
    scope: Scope
    session: str
    chain: str
    at: float
    user_text: str
    reply_text: str
    ending: Ending = "final"
    model: str = ""
    trace: str = ""
    seq: int = 0
    policy: str = ""
    recalled: tuple[str, ...] = ()
    feedback: Feedback | None = None
    media: tuple[Media, ...] = ()
    watch: str = ""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Memory:
    """One thing remembered. `text` is what the user (or operator) said, or what reflection made of it; `reply` what the
    assistant said to it; `gist` the same in fewer words, "" where nobody made one.

    `sources` are the turn ids it rests on; `seq` orders the memories of a session (0: it has no place among them);
    `version` starts at 1 and grows by every edit; `former` holds the latest earlier texts, oldest first. Times are
    seconds since the epoch: `at` when it was said, `updated` when it last changed. `use` is kept where a policy lets
    memories fade; `thought` where reflection made the memory.
    """

    id: str
    scope: Scope
    session: str
    text: str
    reply: str = ""
    kind: Kind = "turn"
    trust: Trust = "user"
    status: Status = "active"
    pinned: bool = False
    at: float = 0.0
    updated: float = 0.0
    seq: int = 0
    version: int = 1
    sources: tuple[str, ...] = ()
    former: tuple[Former, ...] = ()
    gist: str = ""
    use: Use | None = None
    thought: Thought | None = None


@dataclass(frozen=True, slots=True)
class Sparse:
    """A sparse vector: parallel arrays of term ids and weights. Empty for text without terms."""

    indices: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A memory with its vectors. Names of both maps: "turn" (its own text) and "near" (with its neighbours)."""

    memory: Memory
    dense: Mapping[str, Vector]
    sparse: Mapping[str, Sparse]


@dataclass(frozen=True, slots=True)
class Times:
    """The times that a question is about: periods, each [start, end) in seconds since the epoch, and whether it wants
    the first or the last thing that was ever said."""

    periods: tuple[tuple[float, float], ...] = ()
    end: Literal["first", "last", ""] = ""


@dataclass(frozen=True, slots=True)
class Query:
    """A question in both spaces, and in time. With `as_of`, a moment in seconds since the epoch, it is about what had
    been said by then, whatever has become of it since; else about what is active."""

    dense: Vector
    sparse: Sparse
    times: Times = Times()
    as_of: float | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A memory that at least one signal found. `signals` maps dense_turn, dense_near (cosine) and bm25_turn,
    bm25_near (≥ 0) to raw scores; a signal that did not find it is absent."""

    memory: Memory
    signals: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Hit:
    """A candidate after the policy ranked it. `dropped` says why it was not injected; empty means it was.

    `superseded` is the id of a later memory of the same user that takes back what this one says, "" for none.
    `suspect` tells what of it reads like an attempt to instruct a model, "" for nothing; see wary. `remark` is why it
    is told whatever was asked, "" for what was recalled; see watches.
    """

    memory: Memory
    score: float
    signals: Mapping[str, float]
    dropped: str = ""
    superseded: str = ""
    suspect: str = ""
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Recall:
    """What recall found for one question: hits best first, and what was skipped and why ("deadline", …)."""

    hits: tuple[Hit, ...] = ()
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Placed:
    """What happened at one turn of a conversation, kept under the turn's chain hash.

    `text` is what was injected there ("" for nothing) and is replayed ever after; `memories` are the ids it rendered.
    `repeat` counts how often this same conversation was opened anew (0 = the first time). `pinned`: the text holds what
    the user had pinned at that time, and `anchored` that this was something. `cut` is the chain of the first turn that
    compaction had kept by then, "" for all.
    """

    session: str
    turn: str
    text: str = ""
    memories: tuple[str, ...] = ()
    at: float = 0.0
    repeat: int = 0
    pinned: bool = False
    cut: str = ""
    anchored: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """What an answer took, in tokens, as its worker told; None where it told nothing that can be believed. Of the
    `prompt` so many were `cached`: found in the worker's prefix cache."""

    prompt: int | None = None
    cached: int | None = None
    completion: int | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """Why one answer was as it was (promise 10). `millis` maps a verb to milliseconds; `tokens` were injected. `answer`
    is the id that the worker gave its answer, "" until that is whole, and `usage` what it told that this took."""

    id: str
    scope: Scope
    session: str
    turn: str
    at: float
    question: str
    mode: str
    policy: str
    hits: tuple[Hit, ...] = ()
    tokens: int = 0
    millis: Mapping[str, float] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()
    injected: str = ""
    answer: str = ""
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a listing; `cursor` is opaque and None on the last page."""

    items: tuple[T, ...]
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Dead:
    """A turn that could not be indexed: what it was, how often it was tried, and the last error's text."""

    turn: Turn
    attempts: int
    error: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A turn as the journal holds it: whether it waits to be indexed, was, or could not be; how often that failed, and
    the last error's text."""

    turn: Turn
    state: Literal["pending", "done", "dead"]
    error: str = ""
    attempts: int = 0


FILLING = "filling"
"""The mark of an index that is not full yet, and was written with the others from its beginning on."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How an index stands: its name, the identity of its embedder, and `behind`, the mark that it does not hold
    everything, "" where it does."""

    name: str
    embedder: str
    behind: str = ""


@dataclass(frozen=True, slots=True)
class Lag:
    """The journal's state: turns waiting to be indexed, dead letters, and the oldest waiting turn's age in seconds."""

    pending: int
    dead: int
    oldest: float
