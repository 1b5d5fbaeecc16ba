"""What a question and remembered texts show by themselves, word by word. Pure; English, where a language is needed."""

import re
from dataclasses import dataclass

from gateway.memory import lexical
from gateway.memory.block import worthwhile
from gateway.memory.records import Memory
from gateway.memory.words import Ids, Words, split

_NEW_WORDS, _LONG_REPLY = 0.25, 400  # share of words that the question lacks; characters
_ATTACHED = re.compile(r"\s*\[[^\]]*\]\s*$")
_SPEAKER = re.compile(r"(\w[\w.'-]*)(?: [\w.'-]+){0,2}: ")
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]+")
_CAPITAL = re.compile(r"[A-Z]\w*")
_SENTENCE_END = (".", "!", "?", '"', "“", ":", "\n")
_ASKS_WHEN = re.compile(r"(?i)\s*when\b|.*\b(?:what date|how long)\b")
_MOST_NAMES = 3
_FIRST_PERSON = frozenset({"i", "my", "i'm", "i've", "we", "our"})
_WEEKDAYS = "monday tuesday wednesday thursday friday saturday sunday"
_MONTHS = "january february march april may june july august september october november december"
_MOMENTS = "yesterday today tonight tomorrow last next ago week weekend month year since recently morning"
_ASKING_WORDS = (
    "the a an of to in is was were did does do what when where who whom whose how which why and or for with on at from"
    " by her his hers their them they he she it its this that these those has have had having be been being will would"
    " could can may might should must about as are am i my me mine we our us you your yours image so but not just some"
    " any into out up if then than there here no yes also very more most much many don't didn't i'm i've"
)
_SAYING_WORDS = (
    "say said saying tell told telling talk talked talking speak spoke mention mentioned discuss discussed chat chatted"
    " remember know happen happened things thing something anything first last earliest latest time times day days"
    " weeks months years recent recently before after ago one two three four five six seven eight nine ten few couple"
)
_DATES = frozenset(f"{_WEEKDAYS} {_MONTHS}".split())
_TIMES = frozenset(_MOMENTS.split()) | _DATES
# Words that say nothing about what is asked for, and those that only say that something was said, or when.
_ASKING, _SAYING = frozenset(_ASKING_WORDS.split()), frozenset(_SAYING_WORDS.split())


@dataclass(frozen=True, slots=True)
class Asked:
    """A question: its telling words, whether it wants a time, whom it names (in lower case), and whether it is about
    nothing but a time ("what did we talk about last Tuesday")."""

    words: tuple[str, ...]
    all: frozenset[str]
    wants_time: bool
    names: frozenset[str]
    only_time: bool


def asked(question: str) -> Asked:
    """What a question shows."""
    found = _split(question)
    telling = tuple(dict.fromkeys(word for word in found if word not in _ASKING))
    return Asked(
        words=telling or tuple(dict.fromkeys(found)),
        all=frozenset(found),
        wants_time=bool(_ASKS_WHEN.match(question)),
        names=frozenset(_names(question)),
        only_time=not any(word not in _SAYING | _TIMES and not word[0].isdecimal() for word in telling),
    )


def _names(question: str) -> list[str]:
    """Capitals inside of sentences, but for "I" and parts of dates."""
    found = []
    for match in _CAPITAL.finditer(question):
        before = question[: match.start()].rstrip(" ")
        if before and not before.endswith(_SENTENCE_END) and match[0] != "I":
            found.append(match[0].lower())
    return [name for name in found if name not in _DATES]


@dataclass(frozen=True, slots=True)
class Told:
    """A remembered text: its words' numbers, and what they show. `speaker` is in lower case, "" where none stands
    before it."""

    words: Ids
    asks: bool
    time: bool
    first_person: bool
    names: int
    speaker: str


def told(text: str, words: Words) -> Told:
    """What a text shows."""
    found = _split(text)
    known = set(found)
    speaker = _SPEAKER.match(text)
    return Told(
        words=words.ids(found),
        asks=text.endswith("?") or (text.endswith("]") and _ATTACHED.sub("", text).endswith("?")),
        time=not _TIMES.isdisjoint(known),
        first_person=not _FIRST_PERSON.isdisjoint(known),
        names=min(len(_NAME.findall(text)), _MOST_NAMES),
        speaker=speaker[1].lower() if speaker else "",
    )


def _split(text: str) -> list[str]:
    return split(text if text.isascii() else lexical.spaced(text))


def tells_nothing(memory: Memory, asked: frozenset[int]) -> bool:
    """A turn that only asked the same before; `asked` are the question's terms. Whoever asks often would otherwise
    recall questions, not answers."""
    if not memory.text.endswith("?") or len(memory.reply) > _LONG_REPLY:
        return False
    said = f"{memory.text} {memory.reply}" if worthwhile(memory.reply) else memory.text
    terms = lexical.terms(said)
    return len(terms - asked) <= _NEW_WORDS * len(terms)
