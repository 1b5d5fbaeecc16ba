"""What a text states about its speaker's world, clause by clause: about what, with which verb, which value. Pure.

English only and shallow on purpose: a clause that does not read as a plain statement is left out, because a statement
misread would hide a true one. Never knows what it is compared to.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from gateway.memory import lexical
from gateway.memory.policies.changes import english

Terms = frozenset[int]


class Statement(NamedTuple):
    """`topic`: stems of what it is about, none for the speaker; `fresh` if it is called new. `verb`: the main verb,
    synonyms as one. `words`: what is said; `value`: their stems, less `marks`, which are its numbers, days and months
    (`dated` if some tell a time). `kind` tells values of different sorts apart. `over`: stems of what is said to have
    ended. `owned`: it is about the speaker's own, not about "the" thing. `cue`: its sentence tells of a change.
    """

    topic: Terms
    fresh: bool
    verb: str
    words: tuple[str, ...]
    value: Terms
    marks: frozenset[str]
    dated: bool
    kind: str
    negative: bool
    past: bool
    over: Terms
    owned: bool
    cue: bool


_SPEAKER = re.compile(r"([A-Z][\w.'-]*(?: [A-Z][\w.'-]*){0,2}): ")
_SENTENCE = re.compile(r"([.!?;…])(?<!\bDr\.)(?<!\bMr\.)(?<!\bMs\.)(?<!\bMrs\.)(?<!\bSt\.)[\"')]*\s+|\n+|\s[–—-]\s")
_WORD = re.compile(r"\w(?:[\w'@.:+-]*\w)?|,")
_SHORT_FORMS = (("n't", " not"), ("'m ", " am "), ("'re ", " are "), ("'ve ", " have "), ("'ll ", " will "))
_HEDGED = re.compile(
    r"\b(?:(?:going|about|like|love|plan|plans) to|(?:year|month|week)s? ago"
    r"|as an? (?:child|kid|teen|teenager|boy|girl|student)|when (?:i|we|he|she) (?:was|were|lived)"
    r"|back (?:in|then|when)|in (?:19|20)\d\d|years? before|grew up)\b"
)
_OVER = re.compile(
    r"\b(?:no longer (.+)|(?<!am )(?<!is )(?<!are )(?<!get )(?<!got )used to (.+)"
    r"|(?:not|never) (.{1,80}?) any ?(?:more|longer)"
    r"|(?:instead of|rather than|(?:switched|changed|moved) from) ((?:\w+ ?){1,3}?)(?:$| to\b))"
)
_CLOCK = re.compile(r"\d{1,2}:\d\d|\d+(?:am|pm)")
_CANON = {word: verb for verb, words in english.SYNONYMS.items() for word in words}


def speaker(text: str) -> str:
    """Whose words these are: the name before the first colon, "" for the user's own."""
    found = _SPEAKER.match(text)
    return found[1] if found and found[1].lower() not in english.NO_SPEAKERS else ""


def statements(text: str) -> Iterator[Statement]:
    """The plain statements of a text, in the order in which they stand."""
    name = speaker(text)
    plain = text[len(name) + 2 if name else 0 :].replace("’", "'")
    for short, full in _SHORT_FORMS:
        plain = plain.replace(short, full)
    parts = _SENTENCE.split(plain + " ")
    for sentence, end in zip(parts[::2], [*parts[1::2], ""], strict=True):
        words = _WORD.findall(sentence)
        low = [word.lower() for word in words]
        spread = " ".join(low)
        asks = "?" in (end, sentence.rstrip("\"') ")[-1:])
        if asks or not english.HEDGES.isdisjoint(low) or _HEDGED.search(spread):
            continue
        cue = not english.CUES.isdisjoint(low) or any(phrase in spread for phrase in english.CUE_PHRASES)
        for first, last in _clauses(low):
            found = _read(words[first:last], low[first:last], cue)
            if found is not None:
                yield found


def _clauses(low: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Where each clause begins and ends: a comma or "but", "so", "and" begins one where a subject follows."""
    first = 0
    for at in range(1, len(low) - 1):
        if low[at] in (",", "but", "so", "and"):
            follows = low[at + 2] if low[at + 1] in ("now", "and", "but", "so") and at + 2 < len(low) else low[at + 1]
            if follows in english.BEGINS:
                yield first, at
                first = at + 1
    yield first, len(low)


def _read(words: Sequence[str], low: Sequence[str], cue: bool) -> Statement | None:
    """One clause; None unless it is a subject of the speaker's, a verb, and something said with it."""
    at = next((i for i, word in enumerate(low) if word not in english.LEADS), len(low))
    if low[at : at + 3] == ["you", "can", "call"]:
        at += 2
    group = _subject_ends(words, low, at)
    main = _main_verb(low, group) if group is not None else len(low)
    if group is None or main >= len(low):
        return None
    verb, helpers = low[main], low[group:main]
    rest = [i for i in range(main + 1, len(low)) if low[i] not in english.FILLERS and low[i] != "new"]
    marked = {i: _mark(low[i]) for i in rest}
    topic = _stems(low[i].removesuffix("'s") for i in range(at, group) if low[i] not in english.SPEAKS)
    if not topic and low[at] not in english.SPEAKS and low[at] != "call":
        return None
    return Statement(
        topic=topic,
        fresh="new" in low[at:group],
        verb=_verb(low, main),
        words=tuple(low[i] for i in rest),
        value=_stems(low[i] for i in rest if not marked[i]),
        marks=frozenset(filter(None, marked.values())),
        dated=any(_tells_time(low, i) for i in rest if marked[i]),
        kind=_kind([words[i] for i in (rest[1:3] if _CANON.get(verb) == "call" else rest[:3])]),
        negative=verb in english.DISLIKES or not english.NEGATIONS.isdisjoint([*helpers, *low[main + 1 : main + 2]]),
        past="did" in helpers or verb in english.PAST or (verb.endswith("ed") and verb not in english.PRESENT),
        over=_over(low[group:], low[main:]),
        owned=low[at] != "the",
        cue=cue,
    )


def _over(said: Sequence[str], from_verb: Sequence[str]) -> Terms:
    """Stems of what a clause says to have ended, by its verb ("quit …") or by a phrase ("no longer …")."""
    found = _OVER.search(" ".join(said))
    ended: Sequence[str] = ()
    if found:
        ended = found[found.lastindex or 0].split()
        if found[0].startswith(("instead", "rather")):
            ended.append(from_verb[0])  # what is done with the other thing is over, not the thing
    elif _ends(from_verb) and english.NEGATIONS.isdisjoint(said):
        ended = from_verb[1:7]
    return _stems(word for word in ended if word != "up" and not _mark(word))


def _ends(from_verb: Sequence[str]) -> bool:
    """Whether a verb says that something is over: not every stop, and not everything that is left behind, is an end."""
    verb, after = from_verb[0], from_verb[1] if len(from_verb) > 1 else ""
    if verb == "stopped":
        return after.endswith("ing")
    if verb in ("gave", "given"):
        return after == "up"
    if verb == "sold":
        return after in english.OWNS
    if verb == "left":
        return (after not in english.OWNS and after not in english.PLACING) or "job" in from_verb
    return verb in english.ENDS


def _subject_ends(words: Sequence[str], low: Sequence[str], at: int) -> int | None:
    """Where the verb group begins after the subject at `at`; None if no subject of the speaker's stands there."""
    if at >= len(low) or low[at] in english.OTHERS:
        return None
    if low[at] == "call":
        return at
    if low[at] in english.SPEAKS or low[at + 1 : at + 2] in (["is"], ["are"]):
        return at + 1
    if low[at] in english.OWNS or words[at][0].isupper():
        return next((i for i in range(at + 1, min(at + 7, len(low))) if low[i] in english.VERBS), None)
    return None


def _main_verb(low: Sequence[str], at: int) -> int:
    """From the verb group's first word to its main verb: past helpers, adverbs, negations and "used to"."""
    while at < len(low):
        after = next((w for w in low[at + 1 :] if w not in english.FILLERS and w not in english.NEGATIONS), "")
        if low[at] == "used" and after == "to":
            at += 2
        elif low[at] in english.HELPERS or _helps(low[at], after):
            at += 1
        else:
            break
    return at


def _helps(word: str, after: str) -> bool:
    """Whether a form of "be" or "have" belongs to the verb after it: "am living", "has moved"."""
    if word in ("have", "has", "had"):
        return after.endswith(("ed", "left", "quit", "sold"))
    return _CANON.get(word) == "be" and after in english.AFTER_BE


def _verb(low: Sequence[str], at: int) -> str:
    """The verb's one name among its synonyms. Who has moved to a place lives there; a meeting moves to a time."""
    if low[at] == "moved" and low[at + 1 : at + 2] == ["to"] and not any(map(_mark, low[at + 2 : at + 3])):
        return "live"
    return _CANON.get(low[at], low[at])


def _stems(words: Iterable[str]) -> Terms:
    text = " ".join(word for word in words if word not in english.FILLERS and word != "new")
    return lexical.terms(text) if text else frozenset()


def _mark(word: str) -> str:
    """A number, day or month as one form; "" for any other word."""
    if word in english.NUMBERS:
        return english.NUMBERS[word]
    if word in english.MARKS or word[0].isdigit():
        return word
    return word[:-1] if word[:-1] in english.MARKS else ""


def _tells_time(low: Sequence[str], at: int) -> bool:
    """Whether the mark at `at` is a day, a month, a clock's time, or a number where a time is expected."""
    named = not low[at][0].isdigit() and low[at] not in english.NUMBERS
    return named or bool(_CLOCK.fullmatch(low[at])) or low[at - 1] in english.TIMELY


def _kind(value: Sequence[str]) -> str:
    """What sort of value it is, by its first words: one that is placed, a thing, a number, a name, or a word."""
    if not value:
        return ""
    first = value[0].lower()
    if first in english.PLACING:
        return f"{first} {_kind(value[1:])}"
    if first in ("a", "an", "the"):
        return "thing"
    if _mark(first):
        return "mark"
    return "name" if first[0] != value[0][0] else "word"
