"""What the model is shown: text, strings that come back, keys that are asked for later. Every lesson starts with BOS,
so that a head with nothing to say has a place to look. It must never know how the model learns."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench_kv.model.tasks import Encode, Passkeys, drawn
from tests.bench_kv.model.tokenizer import USER

_ANSWER = 10.0  # how much a digit of an answer counts, beside a token of text
_CHAT = 0.25  # share of the questions that are asked as a chat
_LAST = 0.5  # share of the questions that stand at the very end, so that far needles are as frequent as near ones


@dataclass(frozen=True, slots=True)
class Lesson:
    """Tokens, and how much it counts to foresee each of them. What is drawn at random counts nothing."""

    tokens: list[int]
    weights: list[float]


class Lessons:
    """Draws lessons of any length from `text`, one long run of tokens. Equal seeds give equal lessons. `plain` are the
    tokens that random strings are made of."""

    def __init__(self, text: Sequence[int], encode: Encode, bos: int, plain: range, seed: int) -> None:
        self._text = text
        self._encode = encode
        self._bos = bos
        self._plain = plain
        self._passkeys = Passkeys(encode, bos)
        self._chance = random.Random(seed)

    def drawn(self, length: int, mix: tuple[int, int, int]) -> Lesson:
        """A lesson of `length` tokens: reading, repeating or asking, as often as `mix` says."""
        draw = self._chance.choices((self.reading, self.repeating, self.asking), mix)[0]
        return draw(length)

    def reading(self, length: int) -> Lesson:
        """Text cut anywhere."""
        return self._spread(length, [], False)

    def repeating(self, length: int) -> Lesson:
        """Text in which a string of random tokens comes back once or more."""
        size = self._chance.randint(8, max(8, length // 8))
        string = self._chance.choices(self._plain, k=size)
        again = Lesson(string, [0.0] + [1.0] * (size - 1))
        return self._spread(length, [Lesson(string, [0.0] * size), *[again] * self._chance.randint(1, 3)], False)

    def asking(self, length: int) -> Lesson:
        """Text that says a pass key once and is asked for it later, once or twice, sometimes as a chat."""
        key, chat = drawn(self._chance), self._chance.random() < _CHAT
        answer = self._passkeys.answer(key)
        asked = self._counted(self._passkeys.chatted(key) if chat else self._passkeys.asked(key), answer, _ANSWER)
        pieces = [self._counted(self._passkeys.needle(key), answer, 0.0), *[asked] * self._chance.randint(1, 2)]
        lesson = self._spread(length, pieces, self._chance.random() < _LAST)
        if chat:
            lesson.tokens[1:2] = self._encode(USER)
        return lesson

    def _counted(self, tokens: list[int], digits: list[int], weight: float) -> Lesson:
        """`tokens`, of which the first that are `digits` count otherwise."""
        start = next(i for i in range(len(tokens)) if tokens[i : i + len(digits)] == digits)
        weights = [1.0] * len(tokens)
        weights[start : start + len(digits)] = [weight] * len(digits)
        return Lesson(tokens, weights)

    def _spread(self, length: int, pieces: Sequence[Lesson], last: bool) -> Lesson:
        """BOS, then the pieces in their order with text between them; the last one at the very end if asked."""
        room = length - 1 - sum(len(piece.tokens) for piece in pieces)
        start = self._chance.randrange(len(self._text) - room)
        cuts = sorted(self._chance.randint(0, room) for _ in pieces)
        if last:
            cuts[-1] = room
        text = list(self._text[start : start + room])
        tokens, weights, done = [self._bos], [0.0], 0
        for piece, cut in zip(pieces, cuts, strict=True):
            tokens += [*text[done:cut], *piece.tokens]
            weights += [*[1.0] * (cut - done), *piece.weights]
            done = cut
        return Lesson(tokens + text[done:], weights + [1.0] * (room - done))
