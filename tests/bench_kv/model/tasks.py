"""Pass keys hidden in text: prompts, to the token, for training and for judging. It must never know which model is
asked or what that model keeps."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.bench_kv.model.tokenizer import ASSISTANT, END

Encode = Callable[[str], list[int]]
DIGITS = 5
NEEDLE = "\nThe pass key is {key}. Remember it.\n"
_QUESTION = "\nWhat is the pass key?"
_ANSWER = " The pass key is"
ASKED = f"{_QUESTION}{_ANSWER} {{key}}"


@dataclass(frozen=True, slots=True)
class Passkey:
    """A prompt in tokens, what a model that remembers says next, and where the needle lies in the prompt."""

    prompt: list[int]
    answer: list[int]
    needle: range


class Passkeys:
    """Makes prompts out of filler text. `encode` gives the tokens of a text without a BOS in front; `bos` is that."""

    def __init__(self, encode: Encode, bos: int) -> None:
        self._encode = encode
        self._bos = bos
        self.question = encode(_QUESTION + _ANSWER)

    def needle(self, key: str) -> list[int]:
        """The sentence that says the key."""
        return self._encode(NEEDLE.format(key=_spaced(key)))

    def answer(self, key: str) -> list[int]:
        """The key as it follows the question: a token per digit."""
        return self._encode(f" {_spaced(key)}")

    def asked(self, key: str) -> list[int]:
        """The question and what is to follow it."""
        return [*self.question, *self.answer(key)]

    def chatted(self, key: str) -> list[int]:
        """The question as the end of a user's message, and the assistant's message."""
        return self._encode(f"{_QUESTION}{END}{ASSISTANT}{_ANSWER.strip()} {_spaced(key)}.{END}")

    def hidden(self, filler: Sequence[int], key: str, length: int, at: int) -> Passkey:
        """A prompt of exactly `length` tokens whose needle starts at token `at` (BOS is token 0). ValueError where
        there is no room for it, or too little filler."""
        needle = self.needle(key)
        before, after = at - 1, length - at - len(needle) - len(self.question)
        if before < 0 or after < 0 or before + after > len(filler):
            raise ValueError(f"no room for a needle at {at} of {length} tokens with {len(filler)} of filler")
        text = filler[: before + after]
        prompt = [self._bos, *text[:before], *needle, *text[before:], *self.question]
        return Passkey(prompt, self.answer(key), range(at, at + len(needle)))

    def deep(self, filler: Sequence[int], key: str, length: int, depth: float) -> Passkey:
        """As `hidden`, at a share of the prompt: 0 is right after BOS, 1 right before the question."""
        room = length - 1 - len(self.needle(key)) - len(self.question)
        return self.hidden(filler, key, length, 1 + round(depth * room))


def drawn(chance: random.Random) -> str:
    """A pass key: digits, each as likely as another, repeats included."""
    return "".join(chance.choices("0123456789", k=DIGITS))


def _spaced(key: str) -> str:
    return " ".join(key)
