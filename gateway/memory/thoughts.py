"""What is noted beside a turn or a memory: how it did, how it was used, what reflection knows of it. Frozen; it
never knows the records that hold it."""

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["success", "failure", ""]


@dataclass(frozen=True, slots=True)
class Feedback:
    """How an answer did, as somebody told us: the last told counts. `score` is theirs, in whatever range."""

    outcome: Outcome = ""
    score: float | None = None
    text: str = ""
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Media:
    """A picture or video in a message: where it lies (a URL, or the digest of bytes that were sent along), and which
    part of the message it was."""

    kind: Literal["image", "video"]
    reference: str
    part: int


@dataclass(frozen=True, slots=True)
class Use:
    """How a memory was called upon: its strength S (1 at first), how often, and when last (seconds, 0 for never)."""

    strength: float = 1.0
    count: int = 0
    last: float = 0.0


@dataclass(frozen=True, slots=True)
class Link:
    """Another memory of the same user, by its id; `weight` is in (0, 1]."""

    to: str
    kind: Literal["entity", "semantic", "temporal", "causal"]
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Span:
    """Where in a turn it stands: characters [start, end) of what the user said, or of the reply."""

    turn: str
    part: Literal["user", "reply"]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Thought:
    """What is known of a memory that reflection made. `policy` and `reflection` say who made this version and when.

    `confidence` is in [0, 1]. `occurred` is when it happened, [start, end); what was told holds from the memory's `at`
    `until` another one took its place, `supersedes` is the one whose place it took. `tags` are what it is about: heads,
    entities, names. `title` and `outcome` are those of strategies, errors and experiences.
    """

    policy: str
    reflection: str = ""
    title: str = ""
    confidence: float = 1.0
    occurred: tuple[float, float] | None = None
    until: float | None = None
    supersedes: str = ""
    tags: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    spans: tuple[Span, ...] = ()
    outcome: Outcome = ""


@dataclass(frozen=True, slots=True)
class Former:
    """What a memory said before an edit: the version's number, its text, and when it was replaced."""

    version: int
    text: str
    until: float
