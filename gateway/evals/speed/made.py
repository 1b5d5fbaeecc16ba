"""Made-up memories with vectors that fit their words, as many as one likes, without embedding each. Pure, and seeded.

A memory says three things out of a stock of some hundred, and a few rare words. Only the stock is embedded: a memory's
vector is the mean of its three, and some noise, so memories gather around what they speak of, as real ones do. Vectors
drawn at random would not, and an index is built for those that do.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gateway.memory import lexical
from gateway.memory.records import Entry, Memory, Scope, Vector

SESSION = 20
_STOCK = 1_000
_SAID, _RARE = 3, 4
_WORDS, _STEEPNESS = 20_000, 1.05  # of the rare words: the more frequent ones take most of the places, as in speech
_NOISE = 0.02  # a coordinate; about a third of a vector's length with 384 of them
_NEIGHBOUR = 0.5
_BLOCK = 500
_BEGAN, _APART = 1.6e9, 60.0  # seconds since the epoch, and between two memories

_WHO = (
    *("Ada", "my sister", "our neighbour", "the dentist", "grandpa", "my boss", "Tom", "the choir", "Lena"),
    *("Marek", "my cousin", "the plumber", "aunt Rosa", "the team", "my daughter", "the landlord", "Yuki"),
    *("the teacher", "my brother", "Ivan", "the nurse", "grandma", "Priya", "the lawyer", "Sofia"),
    *("my uncle", "the baker", "Omar", "the coach", "my niece", "Greta", "the barber", "Paolo", "the vet"),
    *("my flatmate", "Nina"),
)
_DID = (
    *("bought", "lost", "repaired", "painted", "planned", "cancelled", "found", "sold", "forgot", "moved"),
    *("returned", "borrowed", "described", "wanted", "inherited", "photographed", "cleaned", "hid"),
    *("ordered", "shared", "praised", "broke", "insured", "measured", "promised", "won", "stored", "tested"),
    *("wrapped", "missed", "carried", "kept"),
)
_LIKE = (
    *("a red", "the old", "a broken", "the blue", "a heavy", "the second", "a cheap", "the wooden"),
    *("a strange", "the new", "a tiny", "the famous", "a borrowed", "the green", "an empty", "the antique"),
    *("a loud", "the spare", "a warm", "the striped", "an honest", "the round", "a secret", "the plastic"),
)
_WHAT = (
    *("bicycle", "piano", "suitcase", "table", "ticket", "book", "fence", "coat", "car", "cake", "boiler"),
    *("cat", "telescope", "violin", "recipe", "mortgage", "ladder", "lamp", "carpet", "oven", "guitar"),
    *("kayak", "tent", "printer", "mirror", "necklace", "stamp", "chess set", "camera", "watch", "sofa"),
    *("radio", "hammer", "blanket", "kettle", "scooter", "candle", "puzzle", "garden", "greenhouse"),
    *("fridge", "drum", "umbrella", "backpack", "saddle", "mattress", "compass", "passport", "diary"),
    *("sculpture", "aquarium", "hedge", "trailer", "sweater", "wardrobe", "keyboard", "cello", "rug"),
    *("teapot", "helmet", "drill", "balcony", "postcard", "poster", "parrot", "tortoise", "vineyard"),
    *("cottage", "sailboat", "caravan", "chandelier", "bookcase", "dumbbell", "microscope", "tractor"),
    *("beehive", "orchard", "accordion", "tapestry", "fountain", "dishwasher", "heater", "projector"),
    *("magnet", "bracelet", "trombone", "skateboard", "wheelbarrow", "hammock", "sledge", "lantern"),
    *("gramophone", "typewriter", "harp", "canoe", "map"),
)
_WHEN = (
    *("last Tuesday", "in May", "two weeks ago", "before the storm", "after lunch", "on Christmas Eve"),
    *("this morning", "when it snowed", "during the strike", "at the market", "near the harbour"),
    *("in Lisbon", "in the mountains", "at the station", "on the island", "by the river", "in the cellar"),
    *("behind the school", "at midnight", "over Easter", "in Oslo", "at the clinic", "on the ferry"),
    "in the attic",
)
_ONSETS = ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "br", "st", "kl", "tr")

Floats = np.ndarray[Any, np.dtype[np.float32]]


def stock(memories: int, seed: int) -> list[str]:
    """The things that so many memories say: a thousand at most, all different."""
    drawn = np.random.default_rng(seed)
    said: dict[str, None] = {}
    while len(said) < min(memories, _STOCK):
        said[_clause(drawn)] = None
    return [*said]


def questions(seed: int) -> Iterator[str]:
    """Without end; about such a thing as memories say, which may or may not be among them. Any two differ. As long as a
    question of LoCoMo: ten words, of fourteen tokens."""
    drawn, asked = np.random.default_rng(seed), set[str]()
    while True:
        deed = _deed(drawn)
        if deed not in asked:
            asked.add(deed)
            yield f"Do you remember when {deed}?"


def turns(said: Sequence[str], seed: int) -> Iterator[str]:
    """Without end; what a user may say in one turn, of about 36 tokens."""
    drawn, rare = np.random.default_rng(seed), _rare_words()
    while True:
        yield f"{'. '.join(_pick(drawn, said) for _ in range(_SAID))}. {_pick(drawn, rare)} {_pick(drawn, rare)}."


@dataclass(frozen=True, slots=True)
class Maker:
    """`said` and its vectors, one row each. `users` share what is made, a session at a time in turns."""

    said: Sequence[str]
    vectors: Floats
    users: int
    seed: int

    @classmethod
    def of(cls, said: Sequence[str], vectors: Sequence[Vector], users: int, seed: int) -> "Maker":
        """From vectors as an embedder gives them."""
        return cls(said, np.asarray(vectors, np.float32), users, seed)

    def scope(self, user: int) -> Scope:
        """Whose memories those are."""
        return Scope("evaluation", f"user {user}")

    def make(self, number: int) -> Iterator[list[Entry]]:
        """So many memories, in blocks."""
        drawn, rare = np.random.default_rng(self.seed), np.asarray(_rare_words())
        shares = 1.0 / np.arange(1, len(rare) + 1) ** _STEEPNESS
        shares /= shares.sum()
        for first in range(0, number, _BLOCK):
            size = min(_BLOCK, number - first)
            picks = drawn.integers(0, len(self.said), (size, _SAID))
            tails = drawn.choice(rare, (size, _RARE), p=shares)
            noise = drawn.standard_normal((size, self.vectors.shape[1]), np.float32) * np.float32(_NOISE)
            own = _unit(self.vectors[picks].mean(axis=1) + noise)
            texts = [
                f"{'. '.join(self.said[i] for i in pick)}. {' '.join(tail)}."
                for pick, tail in zip(picks, tails, strict=True)
            ]
            yield [
                self._entry(first + i, text, turn, near)
                for i, (text, turn, near) in enumerate(zip(texts, own.tolist(), _blurred(own).tolist(), strict=True))
            ]

    def _entry(self, number: int, text: str, turn: Vector, near: Vector) -> Entry:
        session, id = number // SESSION, f"made {number}"
        memory = Memory(
            id=id,
            scope=self.scope(session % self.users),
            session=f"session {session}",
            text=text,
            at=_BEGAN + _APART * number,
            updated=_BEGAN + _APART * number,
            seq=number + 1,
            sources=(id,),
        )
        terms = lexical.document(text)
        return Entry(memory, {"turn": turn, "near": near}, {"turn": terms, "near": terms})


def _clause(drawn: np.random.Generator) -> str:
    return f"{_deed(drawn)} {_pick(drawn, _WHEN)}"


def _deed(drawn: np.random.Generator) -> str:
    return " ".join(_pick(drawn, words) for words in (_WHO, _DID, _LIKE, _WHAT))


def _rare_words() -> list[str]:
    """All different, the more frequent ones first."""
    syllables = [onset + vowel for onset in _ONSETS for vowel in "aeiou"]
    drawn = np.random.default_rng(0)
    known = [a + b + c for a in syllables for b in syllables for c in syllables]
    return [known[i] for i in drawn.permutation(len(known))[:_WORDS].tolist()]


def _pick(drawn: np.random.Generator, words: Sequence[str]) -> str:
    return words[int(drawn.integers(len(words)))]


def _unit(rows: Floats) -> Floats:
    lengths: Floats = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / lengths


def _blurred(rows: Floats) -> Floats:
    """Each with a part of those before and after it."""
    blurred = rows.copy()
    blurred[1:] += np.float32(_NEIGHBOUR) * rows[:-1]
    blurred[:-1] += np.float32(_NEIGHBOUR) * rows[1:]
    return _unit(blurred)
