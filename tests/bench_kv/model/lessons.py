"""What the model is shown: text, and keys in text that are asked for later. Every lesson starts with BOS, so that a
head with nothing to say has a place to look. It must never know how the model learns."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from tests.bench_kv.model.tasks import Encode, Passkeys, drawn
from tests.bench_kv.model.tokenizer import USER

_CHAT = 0.1  # share of the questions that are asked as a chat
_LAST = 0.9  # share of the questions that stand at the very end, so that far needles are as frequent as near ones


class Part(IntEnum):
    """What a token of a lesson is to the learner: nothing that can be foreseen, text, or a digit of an answer."""

    CHANCE = 0
    TEXT = 1
    ANSWER = 2


@dataclass(frozen=True, slots=True)
class Lesson:
    """Tokens, and what each of them is."""

    tokens: list[int]
    parts: list[Part]


class Lessons:
    """Draws lessons of any length from `text`, one long run of tokens. Equal seeds give equal lessons."""

    def __init__(self, text: Sequence[int], encode: Encode, bos: int, seed: int) -> None:
        self._text = text
        self._encode = encode
        self._bos = bos
        self._passkeys = Passkeys(encode, bos)
        self._chance = random.Random(seed)

    def drawn(self, length: int, asking: float) -> Lesson:
        """A lesson of `length` tokens, which asks for a key with the probability `asking`."""
        return self.asking(length) if self._chance.random() < asking else self.reading(length)

    def reading(self, length: int) -> Lesson:
        """Text cut anywhere."""
        return self._spread(length, [], False)

    def asking(self, length: int) -> Lesson:
        """Text that says a pass key once and is asked for it later, once or twice, sometimes as a chat."""
        key, chat = drawn(self._chance), self._chance.random() < _CHAT
        answer = self._passkeys.answer(key)
        asked = _marked(self._passkeys.chatted(key) if chat else self._passkeys.asked(key), answer, Part.ANSWER)
        pieces = [_marked(self._passkeys.needle(key), answer, Part.CHANCE), *[asked] * self._chance.randint(1, 2)]
        lesson = self._spread(length, pieces, self._chance.random() < _LAST)
        if chat:
            lesson.tokens[1:2] = self._encode(USER)
        return lesson

    def _spread(self, length: int, pieces: Sequence[Lesson], last: bool) -> Lesson:
        """BOS, then the pieces in their order with text between them; the last one at the very end if asked."""
        room = length - 1 - sum(len(piece.tokens) for piece in pieces)
        start = self._chance.randrange(len(self._text) - room)
        cuts = sorted(self._chance.randint(0, room) for _ in pieces)
        if last:
            cuts[-1] = room
        text = list(self._text[start : start + room])
        tokens, parts, done = [self._bos], [Part.CHANCE], 0
        for piece, cut in zip(pieces, cuts, strict=True):
            tokens += [*text[done:cut], *piece.tokens]
            parts += [*[Part.TEXT] * (cut - done), *piece.parts]
            done = cut
        return Lesson(tokens + text[done:], parts + [Part.TEXT] * (room - done))


def _marked(tokens: list[int], digits: list[int], part: Part) -> Lesson:
    """`tokens` as text, but for the first run of them that is `digits`."""
    start = next(i for i in range(len(tokens)) if tokens[i : i + len(digits)] == digits)
    parts = [Part.TEXT] * len(tokens)
    parts[start : start + len(digits)] = [part] * len(digits)
    return Lesson(tokens, parts)
