"""What a memory policy is asked. Decisions only: a policy never reads a store, a clock or a socket; what it may look at
while it reflects is handed to it, and is one user's."""

from collections.abc import Collection, Sequence
from typing import Protocol, Self, TypeVar

from gateway.memory.records import Candidate, Hit, Kind, Memory, Times, Turn, Vector
from gateway.memory.reflections import Operation
from gateway.memory.words import Words

T = TypeVar("T")


class Study(Protocol):
    """What a policy may look at, and whom it may ask, while it thinks about one user's turns. Nothing of it is anybody
    else's, and looking changes nothing."""

    @property
    def now(self) -> float:
        """Seconds since the epoch."""

    async def like(self, text: str, *, kinds: Collection[Kind] = (), limit: int = 10) -> list[Candidate]:
        """Active memories like the text, of what was said and of what this policy made, most alike first: each with its
        cosine as `dense_turn` where there is one. Of the kinds named, or of any."""

    async def own(self, *kinds: Kind) -> list[Memory]:
        """Every active memory that this policy made, of these kinds or of any, earliest said first."""

    async def said(self) -> list[Memory]:
        """Every active memory of what was said, earliest first; of very many the first some thousand."""

    async def get(self, ids: Sequence[str]) -> list[Memory]:
        """Those of `ids` that exist, in the order asked."""

    async def vectors(self, texts: Sequence[str]) -> list[Vector]:
        """The unit vectors of texts, as memories are found by."""

    async def ask(self, prompt: str, shape: type[T], *, system: str = "") -> T:
        """What a model answers, in the shape of a frozen dataclass whose fields the prompt explains.

        Raises NoModel where there is none to ask, and Unusable when its answer, repaired once, has not the shape. A
        model that does not answer, or may not be asked today, ends the reflection until later.
        """


class Policy(Protocol):
    """What to keep of a turn, what to make of turns later, what to show of what was found, and how wide to look."""

    @classmethod
    def over(cls, words: Words) -> Self:
        """The policy with its default knobs. `words` tells how near words are in meaning; it may know none."""

    @property
    def name(self) -> str:
        """As in the table."""

    @property
    def keeps(self) -> bool:
        """Whether turns are kept at all; if not, they are not even journalled."""

    @property
    def thinks(self) -> bool:
        """Whether turns are thought about after they were indexed: else `reflect` is never called."""

    @property
    def follows(self) -> float:
        """How much of a hit's weight its links carry on to other memories, in [0, 1): with 0 none are looked at."""

    @property
    def width(self) -> int:
        """Candidates asked for per signal; 0 means that recall is not wanted at all."""

    @property
    def radius(self) -> int:
        """How many turns on either side make up a memory's neighbourhood."""

    @property
    def blend(self) -> tuple[float, ...]:
        """Weights of the vectors that are blended into the neighbourhood's: the memory's own, then by distance up to
        `radius`. (Embedding the joined texts instead costs many times more, and found no more on LoCoMo.)"""

    def keep(self, turn: Turn) -> tuple[Memory, ...]:
        """The memories that a turn leaves behind. The first one's id is the turn's; all ids are derived from it."""

    async def reflect(self, turns: Sequence[Turn], study: Study) -> Sequence[Operation]:
        """What some turns of one user, in the order they were said, change in what is remembered."""

    def near(self, memory: Memory, before: Sequence[Memory], after: Sequence[Memory]) -> str:
        """The text that stands for a memory together with its neighbourhood."""

    def times(self, question: str, now: float) -> Times:
        """The times that the question is about, for the store to find candidates in them as well."""

    def rank(self, question: str, candidates: Sequence[Candidate], now: float) -> list[Hit]:
        """Best first, of what was said and of what this policy made. A hit with `dropped` set is evidence for the trace
        and never enters the prompt."""
