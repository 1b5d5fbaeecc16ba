"""Which sentences of a prompt answer its last question, by the rare words that they share. Pure and deterministic.

Rule: every word of an answer stands in the prompt, but for a first line that says so. Questions are never quoted, nor
are the markers of recalled text; a recalled line's day follows its sentence in brackets.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from workers.reader.prompt import Message

OPENING = "I quote:"
NOTHING = "Nothing matches."

_QUOTES = 3
_WORTHWHILE = 0.5  # of the best sentence's score
_BLOCK = re.compile(r"<mneme-memory\b[^<>]*>((?:(?!<mneme-memory\b).)*?)</mneme-memory>", re.S | re.I)
_MARKER = re.compile(r"</?mneme-memory\b[^<>]*>", re.I)
_RECALLED = re.compile(r"\[([^\]]{1,40})\] \w+(?: \([^()]{1,40}\))?: (.*)")
_OWN_QUOTE = re.compile(r"- (.*?)(?: \(([^()]{1,40})\))?")
_TITLES = r"(?<!\bDr\.)(?<!\bMr\.)(?<!\bMs\.)(?<!\bMrs\.)(?<!\bSt\.)(?<!\be\.g\.)(?<!\bi\.e\.)"
_END = re.compile(rf"(?<=[.!?…]){_TITLES}\s+|(?<=[.!?…][\"”’)\]])\s+|(?<=[。！？])|\n+")
_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u9fff"
_WORD = re.compile(rf"[{_IDEOGRAPHS}]|[^\W_{_IDEOGRAPHS}]+")
_SUFFIX = re.compile(r"(?<=[a-z]{3})(?:ing|ed|es|s)$")
_COMMON = frozenset(
    word
    for line in (
        "a about after all also am an and any are as at be been but by can could did do does for from get give had has",
        "have he her here him his how i if in into is it its just know let like m me mine my no not now of on or our",
        "out please re remember s say said she should so some t tell than that the their them then there these they",
        "this those to us ve was we were what when where which who whom whose why will with would yes you your yours",
    )
    for word in line.split()
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of the prompt as it stands there; `day` is when it was said, if the prompt tells."""

    text: str
    day: str = ""

    @property
    def quoted(self) -> str:
        """As it is quoted."""
        return f"{self.text} ({self.day})" if self.day else self.text


def answer(conversation: Sequence[Message]) -> str:
    """One quote a line under an opening line, or a line that says that nothing matches."""
    quotes = best(conversation)
    return "\n".join([OPENING, *(f"- {quote.quoted}" for quote in quotes)]) if quotes else NOTHING


def best(conversation: Sequence[Message]) -> list[Sentence]:
    """Up to three sentences in the order in which they stand; empty if none shares a telling word with the question."""
    question, asked_at = _question(conversation)
    words = _words(" ".join(question))
    sentences = _distinct(_candidates(conversation, asked_at, set(question)))
    known = [_words(f"{sentence.text} {sentence.day}") for sentence in sentences]
    seen_in = Counter(word for each in known for word in each & words)
    scores = [sum(math.log(1 + len(known) / seen_in[word]) for word in sorted(each & words)) for each in known]
    top = max(scores, default=0.0)
    worthwhile = [index for index, score in enumerate(scores) if score > 0 and score >= _WORTHWHILE * top]
    # Of equals the later one is quoted: it was said last.
    chosen = sorted(worthwhile, key=lambda index: (scores[index], index))[-_QUOTES:]
    return [sentences[index] for index in sorted(chosen)]


def _question(conversation: Sequence[Message]) -> tuple[list[str], int]:
    """The last user message's questions, or all of its sentences if it asks none; and that message's index."""
    for index in range(len(conversation) - 1, -1, -1):
        if conversation[index].role == "user":
            said = _sentences(_MARKER.sub("", _BLOCK.sub("\n", conversation[index].text)))
            if said:
                return [sentence for sentence in said if _asks(sentence)] or said, index
    return [], -1


def _candidates(conversation: Sequence[Message], asked_at: int, question: set[str]) -> Iterator[Sentence]:
    for index, message in enumerate(conversation):
        for sentence in _read(message):
            own = index == asked_at and not sentence.day and sentence.text in question
            if not own and not _asks(sentence.text):
                yield sentence


def _read(message: Message) -> Iterator[Sentence]:
    """Recalled lines and plain text, in the order in which they stand."""
    for position, part in enumerate(_BLOCK.split(message.text)):
        recalled = position % 2 == 1
        for line in _MARKER.sub("", part).split("\n"):
            yield from _recalled(line) if recalled else _said(line, message.role)


def _recalled(line: str) -> Iterator[Sentence]:
    """`[day] speaker (remark): text | assistant: reply`, most without a remark; an answer of ours among the
    replies only repeats another line."""
    match = _RECALLED.fullmatch(line)
    day, text = match.groups() if match else ("", line)
    for part in text.split(" | assistant: "):
        if not part.startswith((OPENING, NOTHING)):
            yield from (Sentence(sentence, day) for sentence in _sentences(part))


def _said(line: str, role: str) -> Iterator[Sentence]:
    if role == "assistant" and line in (OPENING, NOTHING):
        return
    own = _OWN_QUOTE.fullmatch(line) if role == "assistant" else None
    text, day = own.groups() if own else (line, "")
    yield from (Sentence(sentence, day or "") for sentence in _sentences(text))


def _sentences(text: str) -> list[str]:
    return [stripped for sentence in _END.split(text) if (stripped := sentence.strip())]


def _distinct(sentences: Iterable[Sentence]) -> list[Sentence]:
    """Each sentence once, however often it was said or quoted."""
    seen: dict[str, Sentence] = {}
    for sentence in sentences:
        seen.setdefault(" ".join(_WORD.findall(sentence.text.casefold())), sentence)
    return [sentence for key, sentence in seen.items() if key]


def _asks(sentence: str) -> bool:
    return sentence.rstrip("\"”’')] ").endswith(("?", "？"))


def _words(text: str) -> set[str]:
    return {_stem(word) for word in _WORD.findall(text.casefold()) if word not in _COMMON}


def _stem(word: str) -> str:
    """lives, living, live → liv; studies, study → studi; runs, running → run. Crude, and the same on both sides."""
    if not word.isascii() or len(word) < 4:
        return word
    bare = _SUFFIX.sub("", word)
    bare = f"{bare[:-1]}i" if bare.endswith("y") else bare.removesuffix("e") if len(bare) > 3 else bare
    return bare[:-1] if bare[-1] == bare[-2] and bare[-1] not in "aeiou" else bare
