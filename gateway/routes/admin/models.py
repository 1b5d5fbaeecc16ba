"""The shapes of /admin that are not nouns of memory themselves: what it takes, and what it tells. No logic.

Answers are rendered from records, not through these models, so that any text can be told; the tests hold them together.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictFloat

from gateway.memory.records import Hit, Lag, Memory, Placed, Status, Turn
from gateway.memory.reflections import Spent
from gateway.routes.admin.fades import Fade
from gateway.tenants.records import Role

LONGEST_TEXT = 32_768
_MOST_IDS = 1000

Text = Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]
Ids = Annotated[list[Annotated[str, Field(min_length=1, max_length=512)]], Field(min_length=1, max_length=_MOST_IDS)]
Count = Annotated[int, Field(ge=0, lt=1 << 53)]


class Shape(BaseModel):
    """Nothing but what is named here."""

    model_config = ConfigDict(extra="forbid")


class Fault(Shape):
    """What went wrong, as OpenAI words it."""

    message: str
    type: str
    param: str | None
    code: str | None


class Refusal(Shape):
    """An error."""

    error: Fault


class Me(Shape):
    """Whose key it is, and what it may."""

    who: str
    role: Role
    tenant: str
    user: str


class NewNote(Shape):
    """A note by the operator."""

    text: Text
    pinned: bool = Field(False, description="Stands at the head of every conversation of the user.")
    at: str | StrictFloat | None = Field(None, description="ISO 8601, or seconds since 1970; now when left out.")


class Edit(Shape):
    """What to change; what is left out stays."""

    text: Text | None = None
    pinned: bool | None = None
    status: Status | None = Field(None, description="An archived memory is kept and never recalled.")


class Selection(Shape):
    """Memories by their ids."""

    ids: Ids


class Deleted(Shape):
    """How many memories there were to delete."""

    deleted: int


class Found(Shape):
    """What a question finds, best first; `dropped` says why a hit would not enter a prompt."""

    policy: str
    hits: list[Hit]


class Version(Shape):
    """What a memory said, and until when (seconds since 1970; null for the current version)."""

    version: int
    text: str
    until: float | None


class History(Shape):
    """Every text that a memory had and still knows, oldest first."""

    id: str
    versions: list[Version]


class Provenance(Shape):
    """The turns that a memory rests on. `missing`: turns that the journal does not hold (imported, or erased)."""

    id: str
    turns: list[Turn]
    missing: list[str]


class Fate(Shape):
    """A line of an import that was not taken, counted from 1, and why."""

    line: int
    message: str


class Imported(Shape):
    """What became of an import. `faults` tells the first hundred refused lines."""

    imported: int
    refused: int
    faults: list[Fate]


class User(Shape):
    """A user and how many memories are kept."""

    user: str
    memories: int


class Users(Shape):
    """A page of users, by name."""

    items: list[User]
    cursor: str | None


class Session(Shape):
    """A conversation: how many turns it had, and when the last one was (seconds since 1970)."""

    session: str
    turns: int
    last: float


class Sessions(Shape):
    """A page of sessions, latest first."""

    items: list[Session]
    cursor: str | None


class Told(Shape):
    """A turn of a session: what was placed into the prompt, and what was said (null when it was not retained)."""

    placed: Placed
    turn: Turn | None


class Turns(Shape):
    """A page of a session's turns, earliest first."""

    items: list[Told]
    cursor: str | None


class Certificate(Shape):
    """Who was forgotten, when, how much was erased, and what was found right after: nothing. Signed."""

    id: str
    issuer: str
    tenant: str
    user: str
    at: float
    erased: dict[str, Count]
    remains: dict[str, Count]
    signature: str = Field(max_length=100)


class Verdict(Shape):
    """Whether the certificate is genuine, what is held of the user now (null if it is not), and whether all is well."""

    genuine: bool
    held: dict[str, int] | None
    forgotten: bool


class Replay(Shape):
    """Which dead letters to try again: `ids` of turns, or all of them."""

    ids: Ids | None = None
    all: Literal[True] | None = None


class Replayed(Shape):
    """How many dead letters are pending again."""

    replayed: int


class Preview(Shape):
    """What the worker would be sent. `text` would be new at the last turn, `replayed` stands at earlier ones.

    `body` is the rewritten request, byte for byte; `first_kept` counts the turns that compaction would leave out.
    """

    policy: str | None
    skipped: list[str]
    fresh: bool
    text: str
    tokens: int
    memories: list[str]
    pinned: list[Memory]
    hits: list[Hit]
    replayed: str
    first_kept: int
    body: str
    millis: dict[str, float]


class Knob(Shape):
    """One setting of a policy and its value, any JSON."""

    name: str
    type: str
    value: Any


class PolicyCard(Shape):
    """A memory policy; `default` is the one that requests get which name none. `source` is the paper that it is made
    after, "" for none; `fades` are its curves of forgetting."""

    name: str
    about: str
    source: str
    default: bool
    knobs: list[Knob]
    fades: list[Fade]


class Policies(Shape):
    """The policies that a request may name."""

    policies: list[PolicyCard]


class Embedding(Shape):
    """What turns text into vectors."""

    identity: str
    dimension: int


class TenantStats(Shape):
    """Users with memories, their memories, and what reflection asked of a model today."""

    tenant: str
    users: int
    memories: int
    spent: Spent


class Stats(Shape):
    """The gateway at a glance."""

    tenants: list[TenantStats]
    journal: Lag
    due: int
    embedder: Embedding
    policy: str
    versions: dict[str, str]
